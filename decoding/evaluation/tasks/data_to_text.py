"""Faithful text from data: a record of a made-up person in one or two sentences; from templates of this project."""

import random

from ..problem import Problem
from .task import Task, drawn

FIRST = ("Ilma", "Toren", "Sabel", "Ostin", "Vireo", "Kanda", "Merit", "Jorun", "Alvar", "Petra", "Ruben", "Tamsin")
LAST = ("Quell", "Hadar", "Brand", "Osk", "Marlow", "Fenn", "Tiber", "Vance", "Lund", "Corvin", "Ashby", "Reyes")
PLACES = ("Lisbon", "Oslo", "Kyoto", "Lima", "Accra", "Tallinn", "Quito", "Perth", "Krakow", "Hanoi")
JOBS = {
    "botanist": "studies {}", "architect": "designs {}", "composer": "writes {}", "chemist": "works on {}",
    "historian": "writes about {}", "engineer": "builds {}",
}  # fmt: skip
SUBJECTS = {
    "botanist": ("alpine mosses", "desert grasses", "river orchids"),
    "architect": ("timber bridges", "quiet libraries", "small theatres"),
    "composer": ("string quartets", "film music", "choral works"),
    "chemist": ("green dyes", "battery salts", "soft glass"),
    "historian": ("old harbours", "lost alphabets", "salt roads"),
    "engineer": ("tidal turbines", "rescue drones", "steel looms"),
}


def problems(split: str, count: int) -> list[Problem]:
    """As many as are asked for."""
    return drawn(_made, split, count)


def _made(draw: random.Random) -> tuple[str, str, str]:
    """Which clause comes first follows from the job, so that text and record decide each other."""
    name, job = f"{draw.choice(FIRST)} {draw.choice(LAST)}", draw.choice(tuple(JOBS))
    born, place, home = draw.randint(1931, 1998), *draw.sample(PLACES, 2)
    does = JOBS[job].format(draw.choice(SUBJECTS[job]))
    fields = {"name": name, "job": job, "work": does, "born": f"{born} in {place}", "home": home}
    record = " | ".join(f"{key}: {value}" for key, value in draw.sample(list(fields.items()), len(fields)))
    a = "an" if job[0] in "aeiou" else "a"
    if job in ("botanist", "chemist", "engineer"):
        text = f"Born in {place} in {born}, {name} is {a} {job} who {does} and now lives in {home}."
    else:
        text = f"{name}, {a} {job} born in {born} in {place}, {does}. Home is now {home}."
    return f"{record}\nText:", f" {text}", text


TASK = Task("a record in one or two sentences, from templates of this project", problems, "bleu", 56)
