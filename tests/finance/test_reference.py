"""Published cases: every row of the file beside the checkout, and files that must not pass in silence."""

import json

import pandas as pd
import pytest

from aifactory.errors import InputError
from aifactory.finance.reference import COLUMNS, check

HEADER = "case_id,function,inputs,expected,tolerance\n"


@pytest.fixture
def run(tmp_path):
    def build(*cases):
        path = tmp_path / "cases.csv"
        rows = [
            {"case_id": f"C{i}", "function": name, "inputs": inputs, "expected": expected, "tolerance": tolerance}
            for i, (name, inputs, expected, tolerance) in enumerate(cases)
        ]
        for row in rows:
            row["inputs"] = row["inputs"] if isinstance(row["inputs"], str) else json.dumps(row["inputs"])
        pd.DataFrame(rows).to_csv(path, index=False)
        return check(path)

    return build


@pytest.mark.real
def test_every_published_case_is_met(shared_dir):
    found = check(shared_dir / "data" / "finance_reference_cases.csv")
    assert list(found.columns) == COLUMNS
    assert len(found) >= 54
    assert found[~found["ok"]].to_dict("records") == []


PAY = {"rate": 0.0, "nper": 10, "pv": 1000}


@pytest.mark.parametrize(
    ("name", "inputs", "expected", "tolerance"),
    [
        ("pmt", PAY, "-100", "0"),
        ("pmt", PAY | {"rate": 0.08 / 12}, "-103.70", "0.005"),
        ("irr", {"values": [-100, 230, -132], "guess": 0.3}, "0.2", "1e-9"),
        ("irr_none", {"values": [1, 2, 3]}, "", ""),
        ("irr", {"values": [100, -200, 150]}, "null", ""),
        ("payback_years", {"initial": -100, "annual": [10, 10]}, "not within the horizon", ""),
        ("syd", {"cost": 30000, "salvage": 7500, "life": 10, "per": 10}, "409.09", "0.005"),
        ("ddb", {"cost": 2400, "salvage": 300, "life": 10}, "[480, 384, 307.2, 245.76, 196.61, 157.29, 125.83, 100.66, 80.53, 22.12]", "0.01"),
        ("macrs_pct", {"life": 5, "convention": "mid-quarter", "quarter": 2}, "[25, 30, 18, 11.37, 11.37, 4.26]", "0.011"),
        ("residual_value", {"price": 30000, "decline_per_year": 0.3, "months": [12, 24]}, "[21000, 14700]", "1e-6"),
        ("break_even_units", {"fixed": [1000, 2000], "price": 0.5, "variable": 0.1}, "[2500, 5000]", "1e-6"),
        # 100 x^2 - 260 (x + 1) + 425 = 100 (x - 1.1) (x - 1.5) with x = 1 + rate
        ("rate", {"nper": 2, "pmt": -260, "pv": 100, "fv": 425, "guess": 0.6}, "0.5", "1e-9"),
        ("rate", {"nper": 2, "pmt": -260, "pv": 100, "fv": 425}, "error", ""),
        ("lease_liability", {"rate": 0.05, "payment": 100, "nper": 9.5}, "error", ""),
        ("lease_liability", {"rate": 0.05, "payment": 100, "nper": -3}, "error", ""),
        ("lease_liability_after_first_payment", {"rate": 0.05, "payment": 100, "remaining": 1e12}, "error", ""),
        ("ddb", {"cost": 2400, "salvage": 300, "life": 1e30}, "error", ""),
        ("vdb", {"cost": 2400, "salvage": 300, "life": 1e30, "start": 0, "end": 1e29}, "error", ""),
        ("db", {"cost": 2400, "salvage": 300, "life": 1e30}, "error", ""),
        ("cumipmt", {"rate": 0.01, "nper": 1e12, "pv": 1000, "start": 1, "end": 1e11}, "error", ""),
        ("macrs_pct", {"life": 3}, "[33.33, 44.45, 14.81, 7.41]", "0.011"),
        ("macrs_pct", {"life": 39, "convention": "mid-month", "month": 1}, json.dumps([2.461, *[2.564] * 38, 0.107]), "0.005"),
        ("macrs_pct", {"life": 10}, "[10, 18, 14.4, 11.52, 9.22, 7.37, 6.55, 6.55, 6.56, 6.55, 3.28]", "0.011"),
        ("macrs_pct", {"life": 15}, "[5, 9.5, 8.55, 7.7, 6.93, 6.23, 5.9, 5.9, 5.91, 5.9, 5.91, 5.9, 5.91, 5.9, 5.91, 2.95]", "0.011"),
        ("evpi_discrete", {"probs": [1.0], "payoff": [[5], [7]]}, '{"EVPI": 0, "max_E": 7}', "1e-12"),
        ("lease_liability_after_first_payment", {"rate": 0.05, "payment": 50000, "remaining": 9}, "355391", "1"),
    ],
)  # fmt: skip
def test_cases_of_the_same_functions(run, name, inputs, expected, tolerance):
    row = run((name, inputs, expected, tolerance)).iloc[0]
    assert row["ok"], row["reason"]


@pytest.mark.parametrize(
    ("name", "inputs", "expected", "tolerance", "reason"),
    [
        ("npvv_t0", {"rate": 0.1}, "1", "1", "function 'npvv_t0' is not supported.*npv_t0"),
        ("pmt", PAY, "-101", "0.5", "off by 1, allowed 0.5"),
        ("pmt", PAY, "-100", "", "tolerance is needed"),
        ("pmt", PAY, "-100", "-1", "tolerance must not be negative"),
        ("pmt", PAY, "-100", "nan", "tolerance must not be negative"),
        ("pmt", PAY, "[-100]", "1", "another form"),
        ("pmt", PAY, '"-100"', "1", "another form"),
        ("pmt", PAY, "", "", "there is a result, none expected"),
        ("pmt", PAY, "NaN", "1", "NaN is not a number"),
        ("pmt", PAY, "1e999", "1", "1e999 is not a number"),
        ("pmt", PAY | {"nper": 0}, "1", "1", "periods must be positive"),
        ("pmt", PAY | {"rate": -1}, "1", "1", "above -100 %"),
        ("pmt", PAY | {"rate": -3.5}, "1", "1", "above -100 %"),
        ("pmt", PAY | {"when": "middle"}, "1", "1", "end.*begin"),
        ("pmt", {"rate": 0.1, "nper": 3}, "1", "1", "pv"),
        ("pmt", PAY | {"guess": 1}, "1", "1", "guess"),
        ("pmt", PAY | {"pv": "much"}, "1", "1", "."),
        ("pmt", "{", "1", "1", "cannot be read as JSON"),
        ("pmt", "[1]", "1", "1", "must be a JSON object"),
        ("pmt", '{"rate": 0, "rate": 1, "nper": 1, "pv": 1}', "1", "1", "stands twice"),
        ("npv_t0", {"rate": 0.1, "values": []}, "0", "1", "at least one flow"),
        ("npv_t0", {"rate": 0.1, "values": [1, None]}, "0", "1", "."),
        ("irr", {"values": [-100, 230, -132]}, "0.1", "1", "2 values, one expected: 0.1, 0.2"),
        ("irr", {"values": [1, 2]}, "0.1", "1", "there is no result"),
        ("irr_count", {"values": [-100, 230, -132]}, "[0.1]", "1", "2 values, 1 expected"),
        ("xirr", {"values": [1, -2], "dates": ["2026-01-01"]}, "0.1", "1", "as many dates"),
        ("xirr", {"values": [1, -2], "dates": ["2026-01-01", "2025-01-01"]}, "0.1", "1", "before the first"),
        ("xirr", {"values": [1, -2], "dates": ["2026-01-01", "soon"]}, "0.1", "1", "."),
        ("macrs_pct", {"life": 6}, "[1]", "1", "life must be 3"),
        ("macrs_pct", {"life": 5, "convention": "mid-quarter"}, "[1]", "1", "needs a quarter"),
        ("macrs_pct", {"life": 5, "convention": "mid-month", "month": 2}, "[1]", "1", "belongs to buildings"),
        ("evpi_discrete", {"probs": [0.5, 0.6], "payoff": [[1, 2]]}, '{"EVPI": 0}', "1", "add up to 1"),
        ("evpi_discrete", {"probs": [1.0], "payoff": [[1]]}, '{"EVPY": 0}', "1", "no result 'EVPY'.*EVPI"),
        ("var_cvar", {"losses": [1], "alpha": 1.0}, '{"VaR": 1}', "1", "level"),
        ("wacc", {"E": 0, "D": 0, "re": 0.1, "rd": 0.1, "tax": 0}, "0.1", "1", "not both zero"),
        ("farmer_problem", {"desc": "500 acres of grass"}, "{}", "1", "lacks yields"),
    ],
)  # fmt: skip
def test_nothing_passes_in_silence(run, name, inputs, expected, tolerance, reason):
    row = run((name, inputs, expected, tolerance)).iloc[0]
    assert not row["ok"]
    assert pd.Series([row["reason"]]).str.contains(reason).all(), row["reason"]


def test_deviations_are_reported_per_case(run):
    found = run(("pmt", PAY, "-101", "2"), ("irr_count", {"values": [-100, 230, -132]}, "[0.1, 0.25]", "0.1"))
    assert found["abs_deviation"].tolist() == pytest.approx([1.0, 0.05])
    assert found["relative_deviation"].tolist() == pytest.approx([1 / 101, 0.2])
    assert json.loads(found["got"][1]) == pytest.approx([0.1, 0.2])


def test_rows_of_another_length_are_not_run(tmp_path):
    path = tmp_path / "cases.csv"
    path.write_text(HEADER + 'A,pmt,"{""rate"":0,""nper"":1,""pv"":1}"\nB,pmt,{},1,1,1\n')
    found = check(path)
    assert not found["ok"].any()
    assert found["reason"].str.contains("as many cells").all()


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "case_id,function,inputs\n"])
def test_a_file_without_the_columns_is_refused(tmp_path, text):
    path = tmp_path / "cases.csv"
    path.write_text(text)
    with pytest.raises(InputError, match="missing"):
        check(path)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        check(tmp_path / "absent.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00case")
    with pytest.raises(InputError, match="UTF-8"):
        check(tmp_path / "binary.csv")


CASE = ["C1", "npv_t0", '{"rate": 0.1, "cash_flows": [-100, 110]}', "0", "1e-9"]


def written(path, header, rows, separator=",", end="\n", encoding="utf-8"):
    def quote(cell):
        return '"' + cell.replace('"', '""') + '"'

    lines = [separator.join(header), *(separator.join(map(quote, row)) for row in rows)]
    path.write_bytes((end.join(lines) + end).encode(encoding))
    return path


@pytest.mark.parametrize(
    "form",
    [
        {"separator": ";"},
        {"separator": "\t"},
        {"end": "\r\n"},
        {"encoding": "utf-8-sig"},
        {"end": "\n\n"},
        {"end": "\n  \n"},
    ],
    ids=["semicolons", "tabs", "crlf", "bom", "blank lines", "lines of blanks"],
)
def test_other_forms_of_the_file_read_alike(tmp_path, form):
    header = HEADER.strip().split(",")
    found = check(written(tmp_path / "cases.csv", header, [CASE], **form))
    assert found[["case_id", "ok"]].to_numpy().tolist() == [["C1", True]]
    mixed = check(
        written(tmp_path / "mixed.csv", [f" {name.upper()} " for name in header[::-1]], [CASE[::-1], [""] * 5], **form)
    )
    assert mixed["ok"].tolist() == [True]


def test_a_header_alone_has_no_cases_and_a_column_stands_once(tmp_path):
    none = check(written(tmp_path / "none.csv", HEADER.strip().split(","), []))
    assert none.empty
    assert none["ok"].dtype == bool
    with pytest.raises(InputError, match="column expected stands twice"):
        check(written(tmp_path / "twice.csv", ["case_id", "function", "inputs", "expected", "expected"], [CASE]))
