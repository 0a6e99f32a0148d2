"""A provider is one provider, whatever bill, price list or plan call it."""

import pandas as pd
import pytest

from aifactory.errors import InputError
from aifactory.inputs.providers import provider_name, with_provider_names
from aifactory.inputs.workspace import load_workspace


@pytest.mark.parametrize(
    ("said", "name"),
    [("Microsoft", "Azure"), ("microsoft azure", "Azure"), ("Amazon Web Services, Inc.", "AWS"), ("aws", "AWS"),
     ("Google Cloud", "GCP"), ("Oracle Cloud Infrastructure", "Oracle"), ("Lambda", "Lambda"), ("Own site", "Own site")],
)  # fmt: skip
def test_usual_spellings_mean_the_provider_of_the_price_table(said, name):
    assert provider_name(said) == name
    assert provider_name(name) == name


def test_who_sells_hardware_keeps_his_name():
    prices = pd.DataFrame(
        {"provider": ["Google", "Google", "Microsoft"], "purchase_option": ["purchase", "spot", "on_demand"]}
    )
    assert with_provider_names(prices)["provider"].tolist() == ["Google", "GCP", "Azure"]


def test_a_plan_may_name_its_provider_as_the_bill_does(mini):
    path = mini / "plan.yaml"
    text = path.read_text(encoding="utf-8")
    assert "{AWS: us-east-1" in text
    path.write_text(text.replace("{AWS: us-east-1", "{Amazon Web Services: us-east-1"), encoding="utf-8")
    assert "AWS" in load_workspace(mini).plan.region("us").provider_regions
    path.write_text(text.replace("{AWS: us-east-1", "{AWS: us-east-1, Amazon: us-east-2"), encoding="utf-8")
    with pytest.raises(InputError, match="AWS is named twice"):
        load_workspace(mini)
