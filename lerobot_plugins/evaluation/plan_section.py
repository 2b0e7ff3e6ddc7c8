"""The section of `report.html` about a policy that plans."""

from collections.abc import Iterable, Sequence

from lerobot_plugins.evaluation import figures, page, plan_figures
from lerobot_plugins.evaluation.episodes import Episode, Run
from lerobot_plugins.evaluation.metrics import Metrics
from lerobot_plugins.evaluation.summary import number, percent, plan_facts

ABOUT = (
    "The policy plans waypoints before it acts. A plan made at a frame is compared, waypoint by waypoint, "
    "with those that the policy's training targets would have had there: durations in frames, states in raw "
    "units and in the policy's own. Hold puts every waypoint where the robot is when it plans. On time "
    "compares a planned state with the demonstrator's at the planned time. An end is in reach of a plan that "
    "has more places than the episode has waypoints left."
)
CAPTION = (
    "plans over the recorded state, from where each was made to each waypoint at its planned time. Only some "
    "plans are drawn; grippers are set apart a little."
)


def plan_section(run: Run, episodes: Sequence[Episode], plan: Metrics) -> Iterable[str]:
    """What is below the heading; figures need `figures.house_style`."""
    yield page.paragraph(ABOUT)
    yield page.definitions(plan_facts(plan))
    yield page.pair(_slots(plan), _dimensions(plan))
    for episode in episodes:
        if episode.plans is not None:
            svg = figures.to_svg(plan_figures.plans_of(run, episode))
            yield page.figure(svg, f"Episode {episode.index}: {CAPTION}")


def _slots(plan: Metrics) -> str:
    """One row per place in a plan; later waypoints are harder."""
    scored = [(str(slot["slot"] + 1), slot) for slot in plan["per_slot"]] + [("all", plan)]
    rows = [
        [
            name,
            str(scores["rows"]),
            number(scores["duration"]["mae"], 3),
            number(scores["normalized"]["mae"], 3),
            percent(scores["gripper_agreement"]),
        ]
        for name, scores in scored
    ]
    hold = plan["hold"]
    rows.append(["hold", "", "", number(hold["normalized"]["mae"], 3), percent(hold["gripper_agreement"])])
    header = ["waypoint", "compared", "frames off", "MAE norm.", "gripper"]
    return page.table(header[: _columns(plan)], [row[: _columns(plan)] for row in rows])


def _dimensions(plan: Metrics) -> str:
    rows = [
        [
            dim["name"],
            *(number(dim["raw"][key], 3) for key in ("mae", "max_abs")),
            number(dim["normalized"]["mae"], 3),
            "",
        ]
        for dim in plan["per_dim"]
    ]
    rows += [[dim["name"], "", "", "", percent(dim["agreement"])] for dim in plan["per_gripper"]]
    header = ["state", "MAE raw", "largest raw", "MAE norm.", "gripper"]
    return page.table(header[: _columns(plan)], [row[: _columns(plan)] for row in rows])


def _columns(plan: Metrics) -> int:
    """How many columns a table has: the last one is about grippers."""
    return 5 if plan["per_gripper"] else 4
