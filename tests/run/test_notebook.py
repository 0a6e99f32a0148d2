"""What a run leaves in a notebook: nothing that differs from run to run."""

import nbformat

from aifactory.run.notebook import WIDGET, strip_run_details


def executed(model):
    output = nbformat.v4.new_output("display_data", data={WIDGET: {"model_id": model, "version_major": 2}})
    cell = nbformat.v4.new_code_cell(
        "explore(f)", id="what-if", outputs=[output], metadata={"papermill": {"duration": 1}}
    )
    metadata = {
        "papermill": {"start_time": model},
        "widgets": {"state": {model: {}}},
        "kernelspec": {"name": "python3", "display_name": "Python 3"},
    }
    return nbformat.v4.new_notebook(cells=[cell], metadata=metadata)


def test_two_runs_leave_the_same_notebook():
    one, two = (strip_run_details(executed(model)) for model in ("7ab3", "91ff"))
    assert nbformat.writes(one) == nbformat.writes(two)
    assert one.cells[0].outputs[0]["data"][WIDGET]["model_id"] == "controls-what-if"
    assert "widgets" not in one.metadata
