"""What the page shows of the study of a real model."""


def markdown(study: dict) -> str:
    """Tables of all tasks of a study that were run, and which were not."""
    lines = [
        "| task | adapters x problems | score | base | greedy LoRA | CoLD 0.1, 0.5 | over greedy (95 %) | won, lost "
        "| chosen on validation | over greedy (95 %) | won, lost |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, each in study["tasks"].items():
        fixed, tuned = each["fixed"], each["tuned"]
        chosen = f"{tuned['alpha']:g}, {tuned['beta']:g}" if tuned["beta"] else "no contrast"
        cells = [
            name,
            f"{len(fixed['adapters'])} x {fixed['problems']}",
            fixed["score"],
            *(_percent(fixed[method]["mean"]) for method in ("base", "greedy", "cold")),
            _points(fixed["gain"]),
            f"{fixed['wins']}, {fixed['losses']}",
            chosen,
            _points(tuned["gain"]),
            f"{tuned['wins']}, {tuned['losses']}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    for name, each in study["tasks"].items():
        if each["rules"]:
            lines += ["", f"Rules on {name}, none of them chosen on it:", ""]
            lines += ["| rule | over greedy (95 %) | won, lost |", "| --- | --- | --- |"]
            for rule in each["rules"]:
                lines.append(f"| {rule['rule']} | {_points(rule['gain'])} | {rule['wins']}, {rule['losses']} |")
    trained = []
    for name, each in study["tasks"].items():
        size = each["settings"]
        trained.append(f"{name} {size['steps']} steps of {size['batch']} on {size['train']} problems")
    if trained:
        lines += ["", f"Trained: {'; '.join(trained)}."]
    if study["not_run"]:
        lines += ["", f"Not run: {', '.join(study['not_run'])}."]
    return "\n".join(lines)


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"


def _points(gain: dict[str, float]) -> str:
    return f"{100 * gain['mean']:+.1f} ({100 * gain['low']:+.1f} to {100 * gain['high']:+.1f})"
