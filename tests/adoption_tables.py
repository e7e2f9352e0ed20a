"""Tables that a project adopts in tests: written by the project's own interpreter.

What it has and the template has not (NumPy, pandas, scikit-learn) is imported by name.
"""

import gzip
import sys
from importlib import import_module
from pathlib import Path

BUNDLED = ("breast_cancer", "diabetes", "wine", "digits")


def write_bundled(folder: Path) -> None:
    """Write the tables that come with scikit-learn, classes as words where they have any."""
    datasets = import_module("sklearn.datasets")
    for name in BUNDLED:
        bunch = getattr(datasets, f"load_{name}")(as_frame=True)
        frame = bunch.frame
        if name in ("breast_cancer", "wine"):
            frame["target"] = [bunch.target_names[label] for label in bunch.target]
        frame.to_csv(folder / f"{name}.csv", index=False)


def write_nasty(path: Path, rows: int = 3000, more: int = 40) -> None:
    """Write a packed Latin-1 file with semicolons and what else makes a table hard to read."""
    np, pd = import_module("numpy"), import_module("pandas")
    draw = np.random.default_rng(1)
    size, price = draw.normal(size=rows), draw.normal(size=rows)
    score = 1.5 * size - price + draw.normal(size=rows)
    days = pd.Timestamp("1965-01-01") + pd.to_timedelta(
        np.sort(draw.integers(0, 2500, rows)), unit="D"
    )
    forms = ["%Y-%m-%d", "%d.%m.%Y", "%d/%m/%Y"]
    frame = pd.DataFrame(
        {
            "Kunden ID": [f"K-{number:06d}" for number in range(rows)],
            "ordered.at": [
                day.strftime(forms[form])
                for day, form in zip(days, draw.integers(0, 3, rows), strict=True)
            ],
            "Größe ÄÖ": [swap(f"{value:,.2f}") for value in size * 1000 + 5000],
            "UPPER CASE": [swap(f"{value:.3f}") for value in price],
            "active?": draw.choice(["ja", "nein"], rows),
            "mixed": [
                ("unbekannt", "n.v.")[kind] if kind < 2 else str(kind)
                for kind in draw.integers(0, 20, rows)
            ],
            "city": [f"Stadt {number}" for number in draw.integers(0, 10_000, rows)],
            "color": draw.choice(["rot", "grün", "blau", ""], rows),
            "constant": "x",
            "empty": "",
            "missing": "NA",
            "e-mail": [f"a{number}@example.org" for number in range(rows)],
            "zip": [f"{number:05d}" for number in draw.integers(0, 999, rows)],
            "born": [
                day.strftime("%d.%m.%Y")
                for day in pd.Timestamp("1920-01-01")
                + pd.to_timedelta(draw.integers(0, 15_000, rows), unit="D")
            ],
            "refund": [
                swap(f"{value:.2f}") for value in np.where(score > 2.5, 100, draw.random(rows))
            ],
            "_id": range(rows),
            "returned": np.where(score > 2.5, "zurück", "behalten"),
            **{
                f"m{number}.x": [swap(f"{value:.2f}") for value in draw.normal(size=rows)]
                for number in range(more)
            },
        }
    )
    with gzip.open(path, "wb") as packed:
        packed.write(frame.to_csv(index=False, sep=";").encode("latin-1"))


def write_crowd(path: Path, rows: int = 5000, columns: int = 500) -> None:
    """Write a wide table of customers with several rows each, of which one in 50 is a fraud."""
    np, pd = import_module("numpy"), import_module("pandas")
    draw = np.random.default_rng(4)
    who = draw.integers(0, rows // 8, rows)
    telling = {
        "size": draw.normal(size=rows),
        "price": draw.normal(size=rows),
        "haste": draw.normal(size=rows),
        # What a customer is like, the same in each of their rows.
        "habit": draw.normal(size=rows // 8)[who],
    }
    score = sum(telling.values()) + 0.2 * draw.normal(size=rows)
    noise = {f"count {number}": draw.poisson(1.0, rows) for number in range(columns - 6)}
    frame = {
        "customer": [f"C{number:05d}" for number in who],
        **{name: values.round(3) for name, values in telling.items()},
        **noise,
        "fraud": (score >= np.quantile(score, 0.98)).astype(int),
    }
    pd.DataFrame(frame).to_csv(path, index=False)


def swap(number: str) -> str:
    """Write a number with a decimal comma and points between thousands."""
    return number.translate(str.maketrans(",.", ".,"))


if __name__ == "__main__":
    write_bundled(Path(sys.argv[1]))
    write_nasty(Path(sys.argv[1]) / "nasty.csv.gz")
    write_crowd(Path(sys.argv[1]) / "crowd.csv")
