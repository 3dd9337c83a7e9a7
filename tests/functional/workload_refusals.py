"""Workloads that are refused, keyed by what is wrong, as in `refusals`, for the same tests."""

from tests.functional.refusals import BOOLEAN_OFF, Refusal
from tests.functional.specs import workload

NAMING = "must be lower-case letters, digits and '-'"
SHARE = "must be a number of connections, such as 120, or a share of maxConnections"
DEMAND_PAIR = "requestsPerSecond and holdMilliseconds belong together: write both, or concurrency alone"
VARIABLE = "a variable must be letters, digits and '_', not beginning with a digit"

WORKLOAD_REFUSALS: dict[str, Refusal] = {
    "a workload's name with a capital": Refusal(workload(name="Api"), "spec.workloads[0].name", NAMING),
    "a workload's name that ends with a dash": Refusal(workload(name="api-"), "spec.workloads[0].name", NAMING),
    "a workload's name that is too long for a label": Refusal(
        workload(name="a" * 64), "spec.workloads[0].name", "63", online="may not be more than 63 bytes"
    ),
    "a floor above the ceiling": Refusal(
        workload(minPerProcess=30, maxPerProcess=20),
        "spec.workloads[0].minPerProcess",
        "must not be above maxPerProcess",
    ),
    "a floor above the ceiling that nobody wrote": Refusal(
        workload(minPerProcess=21), "spec.workloads[0].minPerProcess", "maxPerProcess (20 unless written)"
    ),
    "more pools than connections": Refusal(
        workload(maxPerProcess=1, pools=[{"name": "read"}, {"name": "write"}]),
        "spec.workloads[0].pools",
        "each pool needs a connection of its own",
    ),
    "a pool twice": Refusal(
        workload(pools=[{"name": "read"}, {"name": "read"}]),
        "spec.workloads[0].pools[1]",
        'Duplicate value: {"name":"read"}',
    ),
    "a pool whose name makes no variable": Refusal(
        workload(pools=[{"name": "1st"}]), "spec.workloads[0].pools[0].name", "beginning with a letter"
    ),
    "an empty list of pools": Refusal(workload(pools=[]), "spec.workloads[0].pools", "should have at least 1 items"),
    "a container twice": Refusal(
        workload(containers=["app", "app"]), "spec.workloads[0].containers[1]", 'Duplicate value: "app"'
    ),
    "an unknown mode": Refusal(
        workload(mode="Poold"), "spec.workloads[0].mode", 'supported values: "Auto", "Direct", "Pooled", "NullPool"'
    ),
    "an unknown route": Refusal(workload(route="Dns"), "spec.workloads[0].route", 'supported values: "None", "Env"'),
    "a workload's update mode Off that YAML read as a boolean": Refusal(
        workload(updateMode=False),
        "spec.workloads[0].updateMode",
        BOOLEAN_OFF,
        online='must be of type string: "boolean"',
    ),
    "a demand in both forms": Refusal(
        workload(demand={"concurrency": 5, "requestsPerSecond": 5, "holdMilliseconds": 5}),
        "spec.workloads[0].demand",
        "write either concurrency, or requestsPerSecond with holdMilliseconds, but not both",
    ),
    "a demand with a rate that nobody holds": Refusal(
        workload(demand={"requestsPerSecond": 400}), "spec.workloads[0].demand", DEMAND_PAIR
    ),
    "a demand with a hold of no rate": Refusal(
        workload(demand={"holdMilliseconds": 50}), "spec.workloads[0].demand", DEMAND_PAIR
    ),
    "an empty demand": Refusal(
        workload(demand={}), "spec.workloads[0].demand", "write concurrency, or requestsPerSecond with holdMilliseconds"
    ),
    "a demand per pod": Refusal(
        workload(demand={"concurrency": 5, "per": "Pod"}),
        "spec.workloads[0].demand.per",
        'supported values: "Workload", "Process"',
    ),
    "no percent": Refusal(workload(max="0%"), "spec.workloads[0].max", SHARE),
    "more than all": Refusal(workload(max="150%"), "spec.workloads[0].max", SHARE),
    "a percent below zero": Refusal(workload(max="-5%"), "spec.workloads[0].max", SHARE),
    "a percent with a fraction": Refusal(workload(max="12.5%"), "spec.workloads[0].max", SHARE),
    "a number in quotes as max": Refusal(workload(max="120"), "spec.workloads[0].max", SHARE),
    "zero as max": Refusal(workload(max=0), "spec.workloads[0].max", SHARE),
    "a negative max": Refusal(workload(max=-1), "spec.workloads[0].max", SHARE),
    "a boolean as max": Refusal(
        workload(max=True), "spec.workloads[0].max", SHARE, online='must be of type integer,string: "boolean"'
    ),
    "no processes": Refusal(workload(processes=0), "spec.workloads[0].processes", "greater than or equal to 1"),
    "no pods": Refusal(workload(maxPods=0), "spec.workloads[0].maxPods", "greater than or equal to 1"),
    "no weight": Refusal(workload(weight=0), "spec.workloads[0].weight", "greater than or equal to 1"),
    "negative extraPerPod": Refusal(
        workload(extraPerPod=-1), "spec.workloads[0].extraPerPod", "greater than or equal to 0"
    ),
    "a word for a boolean": Refusal(
        workload(pool={"prePing": "yes"}),
        "spec.workloads[0].pool.prePing",
        "must be true or false, without quotes",
        online='must be of type boolean: "string"',
    ),
    "a word for a mapping": Refusal(
        workload(demand="high"),
        "spec.workloads[0].demand",
        "must be a mapping of fields",
        online='must be of type object: "string"',
    ),
    "a variable that begins with a digit": Refusal(
        workload(env={"names": {"poolSize": "1ST"}}), "spec.workloads[0].env.names", VARIABLE
    ),
    "a variable with a dash": Refusal(
        workload(env={"names": {"poolSize": "MY-SIZE"}}), "spec.workloads[0].env.names", VARIABLE
    ),
    "one variable for two settings": Refusal(
        workload(env={"names": {"poolSize": "SIZE", "poolMaxSize": "SIZE"}}),
        "spec.workloads[0].env.names",
        "two settings have the same variable",
    ),
    "a setting that does not exist": Refusal(
        workload(env={"names": {"size": "SIZE"}}), "spec.workloads[0].env.names", "a setting must be one of poolSize"
    ),
    "an unknown field of a workload": Refusal(
        workload(minPerProces=5),
        "spec.workloads[0].minPerProces",
        "unknown field; did you mean minPerProcess?",
        online='unknown field "spec.workloads[0].minPerProces"',
    ),
}
