"""Detection answers for every spec that the API server can hold."""

from hypothesis import given, settings
from hypothesis import strategies as st

from poolbudget.detection.podspec import Container, Variable
from poolbudget.detection.processes import Processes, Unknown, detect

PROGRAMS = ["uvicorn", "gunicorn", "celery", "worker", "fastapi", "run", "rq", "worker-pool", "uwsgi", "python", "sh"]
WRAPPERS = ["env", "nice", "tini", "--", "dumb-init", "newrelic-admin", "run-program", "uv", "bash"]
OPTIONS = ["-m", "-X", "-c", "-ec", "-n", "-w", "-w2", "-w=", "--workers", "--workers=3", "-P", "--reload", "--config"]
OTHERS = ["$(A)", "$(B)", "$$(A)", "$(", "A=B", "4", "0", "", "exec uvicorn a:a --workers $A", "uvicorn 'a", "-w 2"]
WORDS = st.sampled_from(PROGRAMS + WRAPPERS + OPTIONS + OTHERS) | st.text("aw4=-$(){}'\"\\ \0\n,\u0664", max_size=8)
NAMES = st.sampled_from(["A", "B", "WEB_CONCURRENCY", "UVICORN_WORKERS", "GUNICORN_CMD_ARGS"])
VARIABLES = st.lists(st.builds(Variable, NAMES, st.none() | WORDS), max_size=4).map(tuple)
COUNTS = st.lists(st.builds(Variable, NAMES, st.none() | st.just("9")), max_size=4).map(tuple)
CONTAINERS = st.builds(
    Container,
    name=st.just("app"),
    command=st.lists(WORDS, max_size=6).map(tuple),
    args=st.lists(WORDS, max_size=6).map(tuple),
    env=VARIABLES,
    has_env_from=st.booleans(),
)


@settings(deadline=None)
@given(st.lists(CONTAINERS, max_size=3))
def test_every_spec_has_an_answer(containers: list[Container]) -> None:
    found = detect(containers)
    match found:
        case Processes():
            assert found.count >= len(containers)
        case Unknown():
            assert found.message.endswith(("spec.workloads[].processes", "spec.workloads[].containers"))


@settings(deadline=None)
@given(st.integers(1, 64), COUNTS, st.booleans())
def test_the_last_flag_beats_whatever_stands_before_it(count: int, env: tuple[Variable, ...], env_from: bool) -> None:
    command = ("gunicorn", "-c", "conf.py", "$(A)", "app:app", "-w", "7", "--workers", str(count))
    found = detect([Container("app", command=command, env=env, has_env_from=env_from)])
    assert found == Processes(count, "container app: --workers")


LAYERS = st.sampled_from(["tini --", "dumb-init", "env A=B", "nice -n 5", "exec", "uv run", "python -m", "ddtrace-run"])
SPELLINGS = st.sampled_from(["-w {}", "-w{}", "-w={}", "--workers {}", "--workers={}"])


@given(st.lists(LAYERS, max_size=4), SPELLINGS, st.integers(1, 10_000), st.booleans())
@settings(deadline=None)
def test_no_layer_and_no_spelling_changes_the_count(layers: list[str], spelling: str, count: int, shell: bool) -> None:
    text = " ".join([*layers, "gunicorn app:app", spelling.format(count)])
    command = ("sh", "-c", text) if shell else tuple(text.split())
    assert detect([Container("app", command=command)]) == Processes(count, "container app: --workers")
