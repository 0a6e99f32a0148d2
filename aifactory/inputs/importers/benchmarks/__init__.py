"""Result files of load tools into the table `benchmarks`.

vLLM bench serve, InferenceX, SGLang bench_serving, AIPerf, GuideLLM, inference-perf, MLPerf. What no file says (use
case, accelerator, precision ...) is told by options or a mapping; whether a test may be trusted is judged by the
benchmark stage, from the rows.
"""
