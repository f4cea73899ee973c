"""Ten jobs, two regions: what three policies make of them, and why the last job is where it is."""

from savile.base.series import HOUR, Series
from savile.base.work import Device, Job, Node, Pod, Region
from savile.scheduling import SimBackend, World, policy, report, run

DAY = [220.0] * 6 + [160.0] * 6 + [60.0] * 12  # EUR/MWh, hour by hour
L4 = Device("L4", idle_w=15, peak_w=72)
START = 8 * 24 * HOUR  # a week of prices has been seen by then


def main():
    regions = (
        Region("north", price=Series(0.0, tuple(DAY * 20))),
        Region("south", price=Series(0.0, tuple(DAY[12:] + DAY[:12]) * 20)),
    )
    nodes = tuple(Node(f"{region.id}-{i}", region.id, 32_000, 131_072, L4, 4, 100, 250) for region in regions for i in range(2))
    jobs = tuple(
        Job(f"job-{i}", Pod(4000, 8192, 1000), START + 600 * i, 2 * HOUR, pods=2, deadline_s=START + 24 * HOUR)
        for i in range(10)
    )
    world = World(nodes, jobs, regions, name="two regions")
    for name in ("best_fit", "srpt", "region_lp"):
        outcome = run(policy(name), SimBackend(world, round_s=HOUR))
        figures = report([outcome])["figures"]
        spent = sum(spell.eur for spell in outcome.kernel.ledger.spells)
        print(f"{name:10} {spent:.2f} EUR for what the jobs drew, {figures['deadlines_met']['value']:.0%} of deadlines met")
    last = outcome.jobs()[-1]
    why = [decision.why for entry in outcome.log.entries for decision in entry.decisions if decision.job == last["job"]]
    print(f"{last['job']} ran on {', '.join(last['nodes'])}: {why[0]}")


if __name__ == "__main__":
    main()
