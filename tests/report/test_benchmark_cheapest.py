"""What is called cheapest is compared on like terms."""

import pandas as pd

from aifactory.report.benchmark_capacity import cheapest


def test_a_bought_accelerator_is_not_cheapest_beside_rented_ones():
    rows = [
        ("chat", "a", "on_demand", 6.0),
        ("chat", "b", "on_demand", 5.0),
        ("chat", "c", "purchase", 1.0),
        ("art", "c", "purchase", 2.0),
    ]
    own = pd.DataFrame(rows, columns=["use_case_id", "accelerator_id", "purchase_option", "usd_per_1k_units"])
    found = cheapest(own.assign(units_per_s_per_accelerator=1.0))
    assert found[["use_case_id", "accelerator_id"]].to_numpy().tolist() == [["art", "c"], ["chat", "b"]]
