"""A small executed notebook that uses every block."""

import pytest


@pytest.fixture(scope="session")
def demo():
    from report_demo import demo_notebook

    return demo_notebook()


@pytest.fixture(scope="session")
def demo_page(demo):
    from aifactory.report.html import export_html

    return export_html(demo, title="Buy plan, October 2026")
