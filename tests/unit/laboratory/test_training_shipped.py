"""What is copied by hand from what commands print is the same wherever it stands."""

from __future__ import annotations

import ast
import json
from dataclasses import asdict
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ghostfilter.net import SHIPPED, read_weights
from ghostfilter.weighing import SHARES
from pbx.laboratory import training, unheard

WEIGHTS = (files("ghostfilter") / "weights" / SHIPPED).read_bytes()
CARD: dict[str, Any] = json.loads(
    (files("ghostfilter") / "weights" / "listener.json").read_text()
)


def thresholds() -> dict[str, list[float]]:
    """DOUBT and SURE of `make train`, read and not run: it needs torch."""
    (folder,) = training.__path__
    tree = ast.parse((Path(folder) / "__main__.py").read_text())
    values = {
        statement.targets[0].id: statement.value
        for statement in tree.body
        if isinstance(statement, ast.Assign)
        and isinstance(statement.targets[0], ast.Name)
    }
    return {
        name: list(ast.literal_eval(values[name.upper()])) for name in ("doubt", "sure")
    }


@pytest.mark.parametrize("fold", [None, *range(unheard.FOLDS)])
@pytest.mark.parametrize("name", ["doubt", "sure"])
def test_all_weights_have_the_thresholds_that_training_writes(
    name: str, fold: int | None
) -> None:
    data = (
        WEIGHTS
        if fold is None
        else unheard.weights_file(fold, unheard.FOLDER).read_bytes()
    )
    shipped = getattr(read_weights(data), name)
    assert shipped.tolist() == np.float32(thresholds()[name]).tolist()


def test_the_card_has_them_too() -> None:
    assert {name: CARD[name] for name in ("doubt", "sure")} == thresholds()


def test_the_card_is_of_the_weights_that_ship() -> None:
    assert CARD["weights_sha256"] == sha256(WEIGHTS).hexdigest()


def test_the_shares_were_learned_with_these_weights() -> None:
    """`make train` writes a card without any: then it is time to weigh anew."""
    assert CARD["shares"] == asdict(SHARES)
