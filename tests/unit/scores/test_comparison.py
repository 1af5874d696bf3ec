"""Comparison of runs: paired over images, whatever is undefined."""

import numpy as np
import pandas as pd
import pytest
from pictures import cells
from scipy import stats

from maskmake.report.sentences import verdict_sentences
from maskmake.report.tables import difference_tables
from maskmake.runtime.errors import UserError
from maskmake.runtime.files import write_csv, write_json
from maskmake.scores.cases import Case
from maskmake.scores.comparison import (
    UNKNOWN,
    ScoredRun,
    compare_pairs,
    rank_runs,
    read_scored_run,
)
from maskmake.scores.scorecard import HIGHER_IS_BETTER, POOLED_SCORES, SCORES, score_card
from maskmake.scores.seeds import interval_with_seeds

pytestmark = pytest.mark.long

NO_NETWORKS = pd.DataFrame()  # one seed


def scored(cases, groups=None) -> ScoredRun:
    """A run as the files of ``evaluate`` give it back."""
    card = score_card(cases, 1.2, groups=groups)
    metrics = {name: None if np.isnan(value) else value for name, value in card.scores.items()}
    metrics["images"] = len(card.per_image)
    return ScoredRun(metrics, card.per_image, card.resamples, NO_NETWORKS)


def masks(images: int, error: float, seed: int = 0):
    """Images of different difficulty; in each mask ``error`` is the share of more wrong pixels."""
    rng = np.random.default_rng(seed)
    for number in range(images):
        label = cells(size=64, count=8, seed=number)
        wrong = rng.random(label.shape) < 0.02 + 0.2 * number / images + error
        mask = (label > 0) ^ wrong
        yield Case(str(number), label, np.where(mask, 0.9, 0.1).astype(np.float16), mask)


def compared(runs, recipes=None, smallest=0.0) -> pd.DataFrame:
    """Each run is a recipe of its own unless it is said, and every difference matters."""
    return compare_pairs(runs, recipes or [[run] for run in runs], smallest)


def pair(first, second, smallest=0.0) -> pd.DataFrame:
    return compared({"first": first, "second": second}, smallest=smallest).set_index("score")


@pytest.fixture(scope="module")
def good():
    return scored(masks(9, error=0.0))


def test_a_small_gain_that_all_images_share_is_found(good):
    """The images differ by far more than the runs, so that unpaired intervals overlap."""
    table = pair(good, scored(masks(9, error=0.02, seed=1)))
    row = table.loc["mean_dice"]
    assert 0 < row["low"] < row["difference"] < row["high"] < 0.06
    assert row["verdict"] == "first is better" and row["share"] > 0.99
    unpaired = good.resamples["mean_dice"].quantile([0.025, 0.975])
    assert unpaired.iloc[1] - unpaired.iloc[0] > row["difference"]
    # Where lower is better the difference is negative and the verdict the same.
    assert table.loc["brier", "high"] < 0 and table.loc["brier", "verdict"] == "first is better"
    assert table.loc["brier", "share"] > 0.99


def test_a_run_against_itself_shows_no_difference(good):
    table = pair(good, good)
    assert (table["verdict"] == "no difference").all()
    assert (table[["difference", "low", "high"]] == 0).all(axis=None)
    assert (table["share"] == 0.5).all()
    (sentence,) = verdict_sentences(table.reset_index())
    assert sentence == "“first” and “second”: no difference in mean Dice."


def test_the_order_of_two_runs_changes_signs_alone(good):
    other = scored(masks(9, error=0.02, seed=1))
    there, back = pair(good, other), pair(other, good)
    for column, mirrored in (("difference", "difference"), ("low", "high"), ("high", "low")):
        assert there[column].to_numpy() == pytest.approx(-back[mirrored].to_numpy(), nan_ok=True)
    assert there["share"].to_numpy() == pytest.approx(1 - back["share"].to_numpy(), nan_ok=True)
    swapped = back["verdict"].replace(
        {"first is better": "second is better", "second is better": "first is better"}
    )
    assert (there["verdict"] == swapped).all()


def test_runs_that_differ_by_chance_are_seldom_called_different():
    """Of runs that are equally good, about one score in twenty."""
    rng = np.random.default_rng(0)

    def drawn() -> ScoredRun:
        table = pd.DataFrame(rng.normal(size=(9, len(SCORES))), columns=SCORES)
        table = table.assign(id=[str(image) for image in range(9)], group=range(9))
        return ScoredRun({}, table, pd.DataFrame(), NO_NETWORKS)

    verdicts = pd.concat(pair(drawn(), drawn())["verdict"] for _ in range(20))
    assert len(verdicts) > 400
    assert 0.02 < verdicts.str.endswith("is better").mean() < 0.09


def drawn_recipes(rng, images, seeds, gain=0.0):
    """Runs of two recipes, their scores as far apart as in trainings on a small set of images.

    Dice differs by 0.05 (standard deviation) between images, by 0.006 between seeds, and by 0.01
    between the recipes and between the seeds in each image.
    """
    of_image = rng.normal(0, 0.05, (images, len(SCORES)))
    signs = np.array([-1 if HIGHER_IS_BETTER[score] is False else 1 for score in SCORES])
    runs = {}
    for letter in "ab":
        recipe = of_image + rng.normal(0, 0.01, of_image.shape) + gain * signs * (letter == "a")
        for seed in range(seeds):
            values = recipe + rng.normal(0, 0.006, len(SCORES)) + rng.normal(0, 0.01, recipe.shape)
            table = pd.DataFrame(values, columns=SCORES)
            table = table.assign(id=[str(i) for i in range(images)], group=range(images))
            runs[f"{letter}{seed}"] = ScoredRun({}, table, pd.DataFrame(), NO_NETWORKS)
    return runs


def as_one_run(runs, letter):
    """One run of several networks in place of several runs; its scores are the means of theirs."""
    tables = [run.per_image for name, run in runs.items() if name[0] == letter]
    scores = [table[list(SCORES)] for table in tables]
    networks = pd.DataFrame([each.mean() for each in scores]).assign(repetition=range(len(scores)))
    means = (sum(scores) / len(scores)).assign(**tables[0][["id", "group"]])
    return ScoredRun({}, means, pd.DataFrame(), networks)


def verdicts_of(trials, images, seeds, gain=0.0):
    """Verdicts between recipes, a score being a trial."""
    rng, found = np.random.default_rng(1), []
    for _ in range(trials):
        runs = drawn_recipes(rng, images, seeds, gain)
        recipes = [[run for run in runs if run[0] == letter] for letter in "ab"]
        table = compared(runs, recipes)
        found.append(table[table["verdict"] != "another seed"]["verdict"])
    return pd.concat(found)


@pytest.mark.parametrize(("images", "seeds"), [(12, 3), (9, 2)])
def test_recipes_that_differ_by_seeds_alone_are_seldom_called_different(images, seeds):
    """Even with no difference too small to matter."""
    verdicts = verdicts_of(6, images, seeds)
    assert len(verdicts) == 156
    assert verdicts.str.endswith("is better").mean() <= 0.05


@pytest.mark.parametrize(
    ("images", "seeds", "others"), [(12, 3, 3), (9, 2, 2), (100, 2, 2), (12, 3, 1), (30, 2, 1)]
)
def test_intervals_hold_no_difference_in_at_least_95_of_100(images, seeds, others):
    """The same in 1000 trials of the interval alone; also with fewer seeds than images tell."""
    rng, held = np.random.default_rng(0), 0
    normal = stats.norm.isf((np.arange(200) + 0.5) / 200)
    for _ in range(1000):
        first, second = (
            rng.normal(0, 0.01, images)
            + rng.normal(0, 0.006, (count, 1))
            + rng.normal(0, 0.01, (count, images))
            for count in (seeds, others)
        )
        differences = first.mean(axis=0) - second.mean(axis=0)
        mean, error = differences.mean(), differences.std() / np.sqrt(images)
        by_seed = (first.mean(axis=1), second.mean(axis=1))
        low, high, above = interval_with_seeds(mean, mean + error * normal, images, *by_seed)
        held += low <= 0 <= high
        assert (low <= 0 <= high) == (0.025 <= above <= 0.975)
    assert held >= 950


def test_networks_of_one_run_count_as_seeds():
    """In the words and in the interval, as runs of one seed each do."""
    runs = drawn_recipes(np.random.default_rng(0), images=12, seeds=3, gain=0.02)
    apart = compared(runs, [[run for run in runs if run[0] == letter] for letter in "ab"])
    table = compared({letter: as_one_run(runs, letter) for letter in "ab"})
    assert table[["run_seeds", "other_seeds"]].drop_duplicates().to_numpy().tolist() == [[3, 3]]
    same = apart[apart["verdict"] != "another seed"]
    for column in ("difference", "low", "high", "share"):
        np.testing.assert_allclose(table[column], same[column])
    (sentence,) = verdict_sentences(table)
    assert "it allows for other test images and, from 3 seeds each, for other seeds)" in sentence
    one = compared({"a": as_one_run(runs, "a"), "b": runs["b0"]})
    assert "from 3 and 1 seeds, for other seeds)" in verdict_sentences(one)[0]


@pytest.mark.parametrize("folds", [1, 2])
def test_a_seed_without_a_score_leaves_the_verdict_open(folds):
    """A network that finds nothing has no precision, but the mean of the networks may have one."""
    runs = drawn_recipes(np.random.default_rng(0), images=12, seeds=3, gain=0.02)
    first, second = (as_one_run(runs, letter) for letter in "ab")
    networks = pd.concat([first.networks] * folds, ignore_index=True)
    networks.loc[1, "precision"] = np.nan
    lacking = first._replace(networks=networks)
    for smallest in (0.0, 1.0):
        table = compared({"a": lacking, "b": second}, smallest=smallest)
        row = table.set_index("score").loc["precision"]
        assert row["difference"] > 0 and (row["run_seeds"], row["other_seeds"]) == (3, 3)
        assert row[["low", "high", "share"]].isna().all()
        assert row["verdict"] == UNKNOWN == "not known for other seeds"
        (sentence,) = verdict_sentences(table, "precision")
        assert sentence.startswith("“a” is ahead of “b” by 0.0")
        assert sentence.endswith("is not known, since one of theirs has no precision.")
    rows = difference_tables(table, "a")[0]["rows"]
    assert [row[2:] for row in rows if row[4] == UNKNOWN] == [("–", "–", UNKNOWN)]
    assert table.set_index("score").loc["recall", "verdict"] == "no difference that matters"


def test_the_tables_of_a_run_are_read_with_its_networks(good, tmp_path):
    """Folds of one seed are no seeds; without their columns the table is damaged."""
    paths = [str(tmp_path / name) for name in ("m.json", "i.csv", "r.csv", "n.csv")]
    write_json(paths[0], good.metrics)
    write_csv(paths[1], good.per_image)
    write_csv(paths[2], good.resamples)
    networks = pd.DataFrame([good.metrics] * 2).assign(repetition=[0, 1])
    for kept, repetition in ((2, [0, 1]), (0, [0, 0])):
        write_csv(paths[3], networks.assign(repetition=repetition))
        assert len(read_scored_run(*paths).networks) == kept
    for lacking in (["repetition"], ["v_rand"]):
        write_csv(paths[3], networks.drop(columns=lacking))
        with pytest.raises(UserError, match=r"n\.csv"):
            read_scored_run(*paths)


@pytest.mark.parametrize("name", ["m.json", "i.csv", "r.csv"])
def test_a_file_without_a_score_is_refused(name, good, tmp_path):
    """Without its column of resamples Dice was compared as the mean over images, in silence."""
    paths = [str(tmp_path / each) for each in ("m.json", "i.csv", "r.csv", "n.csv")]
    lacking = {name: ["mean_dice"]}
    metrics = pd.Series(good.metrics).drop(lacking.get("m.json", []))
    write_json(paths[0], metrics.to_dict())
    write_csv(paths[1], good.per_image.drop(columns=lacking.get("i.csv", [])))
    write_csv(paths[2], good.resamples.drop(columns=lacking.get("r.csv", [])))
    write_csv(paths[3], pd.DataFrame({"repetition": [0]}))
    with pytest.raises(UserError, match=rf"{name}: no (key|column) mean_dice, so it is damaged"):
        read_scored_run(*paths)


def test_one_seed_each_calls_recipes_different_that_are_not():
    """What the sentence warns of: measured, two seeds of one recipe in one case of six."""
    assert verdicts_of(8, images=30, seeds=1).str.endswith("is better").mean() > 0.08


@pytest.mark.parametrize(("gain", "least"), [(0.01, 0.1), (0.02, 0.5), (0.03, 0.88)])
def test_a_planted_difference_is_found(gain, least):
    """The power with 12 images and 3 seeds each: 17 %, 62 % and 93 %."""
    verdicts = verdicts_of(3, images=12, seeds=3, gain=gain)
    assert (verdicts == "a0, a1, a2 is better").mean() > least
    assert (verdicts == "b0, b1, b2 is better").mean() < 0.02


def test_a_recipe_of_several_seeds_is_compared_with_that_of_one():
    """What is known of the seeds of one recipe is taken for the other; the interval is wider."""
    runs = drawn_recipes(np.random.default_rng(0), images=12, seeds=3, gain=0.02)
    few = {run: runs[run] for run in ("a0", "a1", "a2", "b0")}
    names = [["a0", "a1", "a2"], ["b0"]]
    alone = compared({run: runs[run] for run in ("a0", "b0")})
    table = compared(few, names)
    assert table["run"].unique().tolist() == ["a0, a1, a2", "a0", "a1"]
    first = table[table["run"] == "a0, a1, a2"]
    assert (first[["run_seeds", "other_seeds"]] == [3, 1]).all(axis=None)
    width = (first["high"] - first["low"]).to_numpy()
    assert np.median(width / (alone["high"] - alone["low"]).to_numpy()) > 1
    sentence, seeds = verdict_sentences(table)
    assert "it allows for other test images and, from 3 and 1 seeds, for other seeds)" in sentence
    gap = few["a0"].per_image["mean_dice"].mean() - few["a1"].per_image["mean_dice"].mean()
    assert seeds.startswith("“a0”, “a1” and “a2” differ in their seed alone, and by 0.0")
    # Whichever of its runs is the best one, the recipe is compared with the other.
    (shown,) = difference_tables(table[table["run"] == "a0, a1, a2"], "b0")
    assert (shown["run"], shown["other"]) == ("a0, a1, a2", "b0")
    others = table[(table["score"] == "mean_dice") & (table["verdict"] == "another seed")]
    assert others["difference"].iloc[0] == pytest.approx(gap)


def test_equal_seeds_leave_the_interval_over_images(good):
    """Runs of two seeds that gave the same masks add nothing but Student's t."""
    other = scored(masks(9, error=0.02, seed=1))
    runs = {"a": good, "a2": good, "b": other, "b2": other}
    table = compared(runs, [["a", "a2"], ["b", "b2"]]).set_index("score")
    both, alone = table[table["run"] == "a, a2"], pair(good, other)
    for score in ("mean_dice", "boundary_f1"):  # one is pooled, one a mean over images
        assert both.loc[score, "difference"] == pytest.approx(alone.loc[score, "difference"])
        widths = [each.loc[score, "high"] - each.loc[score, "low"] for each in (both, alone)]
        assert widths[0] == pytest.approx(widths[1], rel=0.2)
    assert both.loc["mean_dice", "verdict"] == "a, a2 is better"
    assert (table.loc[table["run"] == "a", "verdict"] == "another seed").all()


def test_a_difference_that_is_too_small_does_not_matter(good):
    other = scored(masks(9, error=0.02, seed=1))
    gain = pair(good, other).loc["mean_dice", "difference"]
    assert pair(good, other, smallest=0.9 * gain).loc["mean_dice", "verdict"] == "first is better"
    table = pair(good, other, smallest=1.1 * gain)
    assert table.loc["mean_dice", "verdict"] == "no difference that matters"
    (sentence,) = verdict_sentences(table.reset_index())
    assert sentence.startswith("“first” and “second”: no difference that matters. “first” is ahead")
    assert f"less than {1.1 * gain:g} (95 % interval +" in sentence
    assert sentence.endswith(" The interval holds larger ones, too.")
    (sentence,) = verdict_sentences(pair(good, other, smallest=0.5).reset_index())
    assert sentence.endswith("not for another seed).")
    # Brier's score and distances have other units.
    assert table.loc["brier", "verdict"] == "first is better"
    assert np.isnan(table.loc["brier", "smallest"])


def test_few_images_give_no_verdict(good):
    for images in (1, 5):
        table = pair(scored(masks(images, 0.0)), scored(masks(images, 0.05, seed=1)))
        assert (table["verdict"] == "too few images").sum() > 10
        assert not table["verdict"].str.endswith("better").any()
        (sentence,) = verdict_sentences(table.reset_index())
        assert f"{images} test image" in sentence and "cannot show" in sentence
    alone = scored(masks(1, 0.0))
    assert (pair(alone, alone)["verdict"] == "no difference").all()


def test_images_of_one_group_count_as_one():
    """Nine images of five patients tell no more than five do, in the verdict and in its words."""
    patients = dict(zip("012345678", "aabbccdde", strict=True))
    runs = [scored(masks(9, 0.0), patients), scored(masks(9, 0.02, seed=1), patients)]
    table = pair(*runs)
    alone = pair(scored(masks(9, 0.0)), scored(masks(9, 0.02, seed=1)))
    assert alone.loc["mean_dice", "verdict"] == "first is better"
    for score in ("mean_dice", "boundary_f1"):  # one is pooled, one a mean over images
        row = table.loc[score]
        assert (row["images"], row["groups"], row["verdict"]) == (9, 5, "too few images")
        assert row["difference"] == alone.loc[score, "difference"]
        assert row["high"] - row["low"] > alone.loc[score, "high"] - alone.loc[score, "low"]
    (sentence,) = verdict_sentences(table.reset_index())
    assert sentence.endswith("but 9 test images of 5 groups cannot show which of them is better.")


def without(run: ScoredRun, score: str, *ids: str) -> ScoredRun:
    table = run.per_image.copy()
    table.loc[table["id"].isin(ids), score] = np.nan
    return run._replace(per_image=table)


def test_means_are_compared_on_the_images_that_both_have(good):
    """The first run lacks the score of its worst images, which must not make it the better one."""
    lacking = without(good, "boundary_f1", "7", "8")
    assert lacking.per_image["boundary_f1"].mean() > good.per_image["boundary_f1"].mean()
    row = pair(lacking, without(good, "boundary_f1", "0")).loc["boundary_f1"]
    assert (row["images"], row["difference"], row["verdict"]) == (6, 0, "no difference")
    other = scored(masks(9, error=0.02, seed=1))
    row = pair(lacking, other).loc["boundary_f1"]
    both = good.per_image["boundary_f1"][:7] - other.per_image["boundary_f1"][:7]
    assert row["difference"] == pytest.approx(both.mean())


def test_scores_that_one_run_lacks_have_no_difference(good):
    nothing = scored(case._replace(mask=np.zeros_like(case.mask)) for case in masks(9, 0.0))
    lacking = without(good, "v_rand", *good.per_image["id"])
    table = pair(lacking, nothing)
    for score in ("v_rand", "precision"):  # an empty mask has no precision
        assert np.isnan(
            table.loc[score, ["difference", "low", "high", "share"]].astype(float)
        ).all()
        assert (table.loc[score, "images"], table.loc[score, "verdict"]) == (0, "too few images")
    assert table.loc["recall", "verdict"] == "first is better"
    assert len(difference_tables(table.reset_index(), "first")[0]["rows"]) == len(table)


def test_every_two_runs_are_compared_in_their_order(good):
    other = scored(masks(9, error=0.02, seed=1))
    table = compared({"a": good, "b": other, "c": good})
    assert list(table) == [
        "run", "other", "score", "difference", "low", "high", "share", "images", "groups",
            "run_seeds",
        "other_seeds", "smallest", "verdict",
    ]  # fmt: skip
    pairs = table[["run", "other"]].drop_duplicates().to_numpy().tolist()
    assert pairs == [["a", "b"], ["a", "c"], ["b", "c"]]
    assert list(table["score"].unique()) == [s for s in SCORES if s != "majority_accuracy"]
    assert compared({"a": good}).empty
    assert verdict_sentences(compared({"a": good})) == []


def test_runs_on_other_images_are_refused(good):
    with pytest.raises(ValueError, match="different images"):
        pair(good, scored(masks(8, 0.0)))


def test_a_verdict_in_words(good):
    other = scored(masks(9, error=0.02, seed=1))
    table = pair(good, other).reset_index()
    (sentence,) = verdict_sentences(table)
    row = table[table["score"] == "mean_dice"].iloc[0]
    assert sentence == (
        f"“first” is better than “second” by {row['difference']:.4f} in mean Dice (95 % interval "
        f"+{row['low']:.4f} to +{row['high']:.4f}; better in 100.0\u00a0% of 2\u202f000 resamples "
        "of the test images; the interval allows for other test images, not for another seed)."
    )
    unclear = table.assign(verdict="no clear difference", low=-0.01)
    (sentence,) = verdict_sentences(unclear)
    assert sentence.startswith("“first” and “second”: no clear difference. “first” is ahead by")
    assert "interval −0.0100 to +" in sentence


def test_runs_are_ranked_by_mean_dice(good):
    worse = {**good.metrics, "mean_dice": 0.1}
    unknown = {**good.metrics, "mean_dice": None}
    table = rank_runs({"x": unknown, "y": worse, "z": good.metrics})
    assert table["run"].tolist() == ["z", "y", "x"]
    assert list(table) == ["run", *good.metrics]


def test_runs_are_ranked_by_foreground_dice_where_foreground_is_rare():
    scores = {"a": (0.80, 0.89), "b": (0.81, 0.88)}
    for share, order in ((0.05, ["b", "a"]), (0.5, ["a", "b"])):
        metrics = {
            run: {"foreground": share, "foreground_dice": foreground, "mean_dice": mean}
            for run, (foreground, mean) in scores.items()
        }
        assert rank_runs(metrics)["run"].tolist() == order


def test_resamples_hold_every_pooled_score(good):
    assert tuple(good.resamples) == POOLED_SCORES
    assert good.resamples.shape[0] == 2000
