"""Job tables of schedulers into the table `jobs`: Slurm `sacct`, Kubernetes, Kueue, Volcano, Kubeflow, Ray, plain tables.

Formats as documented: sacct(1) of Slurm 24.05, batch/v1 Job, kueue.x-k8s.io Workload, batch.volcano.sh Job,
ray.io RayJob and the list of the Ray jobs API. No real export was at hand; the tests use files made by hand.
"""
