"""CONDITIONS: the rules under which the price of leaks is measured: strict, strict with one leak, and all leaks together."""

from __future__ import annotations

from dataclasses import dataclass

from sercore.data.splits import COPIES, SHUFFLED


@dataclass(frozen=True)
class Condition:
    """One line of the price list.

    Attributes:
        leaks: declared (keys of `sercore.spec.LEAKS`).
        meaning: what is done, in one line.
        shuffled: recordings are dealt to folds whoever speaks.
        copied: copies of test recordings train.
    """

    leaks: tuple[str, ...]
    meaning: str
    shuffled: bool = False
    copied: bool = False

    def scheme(self, default: str) -> str:
        """The split scheme, on a corpus whose strict scheme is `default` (a key of `sercore.data.splits.SCHEMES`).

        Example:
            >>> CONDITIONS["duplicate_audio"].scheme("pairs_5")
            'pairs_5_copies'
        """
        return default + (SHUFFLED if self.shuffled else "") + (COPIES if self.copied else "")


#: In the order of the page. Each but the first and the last switches on one leak alone.
CONDITIONS: dict[str, Condition] = {
    "strict": Condition((), "no leak: speakers apart, statistics from training, selection on validation speakers"),
    "speaker_overlap": Condition(
        ("speaker_overlap",), "recordings are dealt to the sides whoever speaks, the sizes of the sides kept", shuffled=True
    ),
    "global_normaliser": Condition(("global_normaliser",), "feature means and deviations from all recordings"),
    "validation_is_test": Condition(("validation_is_test",), "the best epoch is chosen on the test speakers"),
    "tuned_on_test": Condition(("tuned_on_test",), "hyper-parameters are chosen on the test speakers, with the same budget"),
    "level_filter": Condition(("level_filter",), "recordings whose peak is at most 0.05 are left out, the test side included"),
    "unmasked_padding": Condition(("unmasked_padding",), "padding counts as speech; batches mix lengths"),
    "duplicate_audio": Condition(("duplicate_audio",), "three fifths of the test recordings also train, under another name", copied=True),
    "all_leaks": Condition(
        (
            "duplicate_audio",
            "global_normaliser",
            "level_filter",
            "speaker_overlap",
            "tuned_on_test",
            "unmasked_padding",
            "validation_is_test",
        ),
        "all of them together",
        shuffled=True,
        copied=True,
    ),
}
