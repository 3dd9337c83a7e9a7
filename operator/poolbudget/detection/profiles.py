"""The catalogue of applications whose pools are sized by environment variables of their own.

`planning.profiles` takes from it what `env.profile` of a workload means, and `cli.profiles` lists it. The rows stand in
profiles.yaml beside this module.
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from pydantic.alias_generators import to_camel

from poolbudget.api.types import Choice, SettingName


class Status(Choice):
    """How far a profile was checked at its version."""

    END_TO_END = "EndToEnd"
    EXECUTED = "Executed"
    SOURCE = "Source"


class Effects(BaseModel):
    """What a profile changes of the plan and the settings of a workload.

    `names`: the variables that the application reads, by setting. `pools`: pools of the size set that each of its
    processes opens. `least_overflow`: it ignores a smaller one. `floor`: the fewest connections a process works with,
    over all its pools. `extra_per_pod`: what a pod opens beside the pools. `requires`: variables without which the
    count does not hold. `whole_seconds`: it reads poolTimeout as a whole number.
    """

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, extra="forbid", frozen=True)

    names: Annotated[dict[SettingName, str], Field(min_length=1)]
    pools: Annotated[int, Field(ge=1)] = 1
    least_overflow: Annotated[int, Field(ge=0)] = 0
    floor: Annotated[int, Field(ge=0)] = 0
    extra_per_pod: Annotated[int, Field(ge=0)] = 0
    requires: dict[str, str] = {}
    whole_seconds: bool = False


class Profile(Effects):
    """One application at one version. `processes` says where their number stands, `remarks` what else to know."""

    version: str
    status: Status
    processes: str
    remarks: tuple[str, ...] = ()


@cache
def catalogue() -> Mapping[str, Profile]:
    """Return the profiles by application; they are a part of the program and never change."""
    text = (files("poolbudget.detection") / "profiles.yaml").read_text(encoding="utf-8")
    return TypeAdapter(dict[str, Profile]).validate_python(yaml.safe_load(text))
