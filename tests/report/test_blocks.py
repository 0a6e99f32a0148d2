"""Blocks: semantic, escaped, complete."""

from html.parser import HTMLParser
from urllib.parse import unquote

import pandas as pd
import pytest
from report_demo import PAYLOADS, TEXTS, demo_charts, demo_figures, demo_head, demo_table

from aifactory.errors import AIFactoryError
from aifactory.report import blocks
from aifactory.report.blocks import Col


class Tree(HTMLParser):
    """Elements with attributes and their text."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.words, self.open = [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if data.strip():
            self.words.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]


def cells(block):
    return Tree(block.html).words


def test_a_table_has_caption_scopes_and_a_region_that_can_be_scrolled_by_key():
    tree = Tree(demo_table().html)
    assert len(tree.all("caption")) == 1
    assert [attrs["scope"] for attrs in tree.all("th")] == ["col"] * 4 + ["row"] * (len(PAYLOADS) + 2)
    region = next(attrs for tag, attrs in tree.elements if attrs.get("role") == "group")
    assert region["tabindex"] == "0"
    assert region["aria-label"] == "Table: Spend by team"
    assert tree.open == []


def test_figures_are_set_right_and_text_left():
    tree = Tree(demo_table().html)
    assert [attrs.get("class", "") for attrs in tree.all("th")][:4] == ["", "n", "n", ""]
    assert [attrs.get("class", "") for attrs in tree.all("td")][:3] == ["n", "n", ""]


def test_missing_cells_are_a_dash_with_a_title():
    html = demo_table().html
    assert '<span title="not known">\N{EN DASH}</span>' in html
    assert "nan" not in html.lower()


def test_total_rows_are_set_off():
    assert demo_table().html.count('<tr class="total">') == 1


FACTS = {"source": "s", "as_of": "2026-10-31"}


def test_groups_stand_once_above_their_rows_and_stay_in_the_csv():
    frame = pd.DataFrame({"region": ["eu", "eu", "us"], "pool": ["a", "b", "a"], "hours": [1, 2, 3]})
    columns = {"region": Col("Region"), "pool": Col("Pool"), "hours": Col("Hours", "int")}
    block = blocks.table(frame, caption="t", columns=columns, groups=["region"], **FACTS)
    tree = Tree(block.html)
    spanning = [head for head in tree.all("th") if head.get("scope") == "rowgroup"]
    assert [head["colspan"] for head in spanning] == ["2", "2"]
    assert len(tree.all("tbody")) == 2
    assert tree.words[:11] == ["t", "Pool", "Hours", "eu", "a", "1", "b", "2", "us", "a", "3"]
    assert "eu,b,2" in unquote(tree.all("a")[0]["href"])
    assert "Region" in block.text


def test_a_turned_table_sets_its_columns_below_each_other():
    frame = pd.DataFrame({"scenario": ["low", "high"], "npv": [1.5, None], "share": [0.25, 0.5]})
    columns = {"scenario": Col("Scenario"), "npv": Col("NPV", "num1"), "share": Col("Share", "pct0")}
    block = blocks.table(frame, caption="t", columns=columns, turned=True, **FACTS)
    words = [word for word in cells(block) if word.strip()]
    assert words[:10] == ["t", "Scenario", "low", "high", "NPV", "1.5", "–", "Share", "25\xa0%", "50\xa0%"]


@pytest.mark.parametrize(("columns", "broken"), [(2, False), (12, True)])
def test_long_texts_break_only_where_the_page_is_too_narrow_for_them(columns, broken):
    names = [f"c{i}" for i in range(columns)]
    frame = pd.DataFrame({name: ["a name of 20 letters"] for name in names})
    block = blocks.table(frame, caption="t", columns={name: Col(name) for name in names}, **FACTS)
    assert ('class="t"' in block.html) is broken


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("place", ["cell", "header", "caption", "source", "note", "as_of"])
def test_tables_escape(payload, place):
    frame = pd.DataFrame({"a": [payload if place == "cell" else "x"]})
    texts = {"caption": "c", "source": "s", "as_of": "2026-10-31", "note": "n"}
    texts |= {place: payload} if place in texts else {}
    label = payload if place == "header" else "A"
    tree = Tree(blocks.table(frame, columns={"a": Col(label)}, **texts).html)
    assert not {"script", "img", "svg"} & {tag for tag, _ in tree.elements}
    assert not [attrs for _, attrs in tree.elements if any(name.startswith("on") for name in attrs)]
    assert payload in "".join(tree.words)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_text_blocks_escape(payload):
    chart = next(iter(demo_charts().values()))
    shown = [
        blocks.section(payload, payload),
        blocks.bullets([payload], ""),
        blocks.bullets([], payload),
        blocks.missing(payload, payload),
        *demo_head(
            stage=payload,
            question=payload,
            finding=payload,
            warnings=[payload],
            kpis=[blocks.Kpi(payload, payload, payload, payload)],
            deciders=[(payload, payload)],
        ),
    ]
    for block in shown:
        tree = Tree(block.html)
        assert not {"script", "img", "svg", "a"} & {tag for tag, _ in tree.elements}
    assert blocks.figure(chart, title=payload, description=payload, **TEXTS).text == f"{payload}. {payload}"


def test_long_tables_are_cut_with_a_word_and_the_csv_has_all_rows():
    frame = pd.DataFrame({"a": range(100)})
    block = blocks.table(frame, columns={"a": Col("A", "int")}, max_rows=5, note="Note.", **texts("Long"))
    tree = Tree(block.html)
    assert len(tree.all("tr")) == 6
    assert "Note. The first 5 of 100 rows; the CSV file has all. Source: s" in block.html
    link = tree.all("a")[0]
    assert link["download"] == "long.csv"
    assert unquote(link["href"].split(",", 1)[1]).splitlines() == ["a", *map(str, range(100))]


def texts(caption):
    return {"caption": caption, "source": "s", "as_of": "2026-10-31"}


def test_csv_downloads_are_safe_in_a_spreadsheet_and_keep_twelve_digits():
    values = ["=1+1", "+1", "-1", "@SUM(1)", "\tx", "plain"]
    frame = pd.DataFrame({"a": values, "b": [-1.123456789012345, float("nan"), 3.0, 4.0, 5.0, 6.0]})
    block = blocks.table(frame, columns={"a": Col("A"), "b": Col("B", "num1")}, **texts("t"))
    csv = unquote(Tree(block.html).all("a")[0]["href"].split(",", 1)[1]).splitlines()
    assert csv[1:] == ["'=1+1,-1.12345678901", "'+1,", "'-1,3", "'@SUM(1),4", "'\tx,5", "plain,6"]


def test_wide_tables_are_set_closer_and_long_names_may_break():
    def html(columns, word):
        frame = pd.DataFrame({f"c{place}": [f"a sentence that is long {word}"] for place in range(columns)})
        return blocks.table(frame, columns={name: Col(name) for name in frame}, **texts("t")).html

    assert '<table class="dense">' in html(10, "x")
    assert "dense" not in html(9, "x")
    assert 'class="t u"' in html(2, "repository/of-somebody@0123456789:file.yml")
    assert 'class="t u"' not in html(2, "short")


def test_a_csv_above_the_limit_has_no_link():
    frame = pd.DataFrame({"a": ["x" * 60] * 2_000})
    assert "<a " not in blocks.table(frame, columns={"a": Col("A")}, **texts("t")).html


@pytest.mark.parametrize("turned", [False, True])
def test_a_sentence_with_its_source_stands_in_for_an_empty_table(turned):
    frame, columns = pd.DataFrame({"a": []}), {"a": Col("A")}
    block = blocks.table(frame, columns=columns, turned=turned, **texts("Leases"))
    assert "<table" not in block.html
    assert "Leases: none. " in block.html
    assert f"Source: {texts('t')['source'].rstrip('.')}" in block.html
    told = blocks.table(frame, columns=columns, turned=turned, empty="No lease was signed.", **texts("Leases"))
    assert "No lease was signed. " in told.html


def test_mistakes_of_a_page_are_named():
    frame = pd.DataFrame({"cost_usd": [1.0]})
    with pytest.raises(AIFactoryError, match="Did you mean 'cost_usd'"):
        blocks.table(frame, columns={"cost_us": Col("x")}, **texts("t"))
    with pytest.raises(AIFactoryError, match="to group by.*cost_usd"):
        blocks.table(frame, columns={"cost_usd": Col("x")}, groups=["cost_us"], **texts("t"))
    with pytest.raises(AIFactoryError, match="no format 'usd'"):
        Col("x", "usd")
    with pytest.raises(AIFactoryError, match="status"):
        blocks.Kpi("a", "1", status="green")
    with pytest.raises(AIFactoryError, match="status 'ok'"):
        demo_head(status="ok")
    with pytest.raises(AIFactoryError, match="description"):
        blocks.figure(demo_charts()["bars"], title="t", description=" ", **TEXTS)


def test_the_head_has_one_heading_key_figures_as_a_list_and_deciders():
    shown = demo_head(demo_figures()["bars"])
    first, chart, last = shown
    tree = Tree(first.html.split("</style>")[1])
    assert len(tree.all("h1")) == 1
    assert "How much do we buy?" in tree.words
    assert [word for word in ("October 2026", "data as of 31 October 2026", "draft") if word not in tree.words] == []
    assert len(tree.all("ul")) == 2
    assert "on target" in tree.words
    assert "act" in tree.words
    assert chart.text == "Finding of bars. Description of bars"
    assert Tree(last.html).words[1:3] == ["Chief financial officer", "approves the amount"]
    assert "Buy plan, October 2026 (draft)" in shown.text


def test_groups_flatten():
    inner = blocks.group(blocks.bullets(["a"], ""), blocks.bullets(["b"], ""))
    outer = blocks.group(inner, demo_figures()["bars"])
    assert len(outer.parts) == 3
    assert outer.html.count("<li>") == 2


def test_figures_carry_their_texts_in_the_specification():
    shown = demo_figures()["bars"]
    bundle = shown._repr_mimebundle_()
    meta = bundle[blocks.VEGA_LITE]["usermeta"]["aifactory"]
    assert meta["source"] == "test data"
    assert meta["as_of"] == "31 October 2026"
    assert bundle[blocks.VEGA_LITE]["$schema"].endswith("/v5.json")
    assert bundle["text/plain"] == "Finding of bars. Description of bars"


@pytest.mark.parametrize("address", ["https://example.test/x.json", "data.csv"])
def test_figures_that_would_load_something_are_refused(address):
    import altair as alt

    remote = alt.Chart(alt.UrlData(address)).mark_point().encode(x="a:Q")
    with pytest.raises(AIFactoryError, match="load nothing"):
        blocks.figure(remote, title="t", description="d", **TEXTS)


def test_workspace_blocks_show_what_the_workspace_holds(mini_ws):
    provenance = blocks.provenance(mini_ws)
    assert "use_cases.csv" in cells(provenance)
    assumptions = cells(blocks.assumptions_table(mini_ws))
    assert "WACC" in assumptions
    assert mini_ws.plan.assumptions["wacc"].owner_role in assumptions
    checks = blocks.checks_table(mini_ws)
    passed = (mini_ws.checks["status"] == "passed").sum()
    assert f"Passed: {passed} of {len(mini_ws.checks)}." in checks.html
    assert "Decisions and changes: none." in blocks.change_log(mini_ws).html


def test_assumptions_are_ranked_by_their_effect(mini_ws):
    tornado = pd.DataFrame({"assumption": ["tax_rate", "wacc"], "swing_usd": [5.0, 9.0]})
    shown = blocks.assumptions_table(mini_ws, tornado).text
    assert shown.index("WACC") < shown.index("Tax rate") < shown.index("PUE")


def test_the_change_log_shows_the_latest_first_and_nothing_of_later_months(mini_ws):
    rows = {
        "date": pd.to_datetime(["2026-09-01", "2026-10-05", "2026-11-01"]),
        "kind": ["decision"] * 3,
        "subject": ["early", "late", "future"],
        "text": ["t"] * 3,
        "owner_role": ["r"] * 3,
        "due": pd.to_datetime([None] * 3),
        "status": ["done", "open", "open"],
    }
    changed = mini_ws.__class__(**{**vars(mini_ws), "tables": {**mini_ws.tables, "decisions": pd.DataFrame(rows)}})
    shown = blocks.change_log(changed).text
    assert "future" not in shown
    assert shown.index("late") < shown.index("early")
