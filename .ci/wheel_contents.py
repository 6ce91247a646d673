"""Compare a wheel with the repository: every tracked file of the packages is in it, and nothing else.

python .ci/wheel_contents.py WHEEL
"""

import subprocess
import sys
import zipfile

PACKAGES = ("cold_kernels", "tuner", "decoding")


def main(wheel: str) -> int:
    tracked = set(
        subprocess.run(["git", "ls-files", *PACKAGES], check=True, capture_output=True, text=True).stdout.split()
    )
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    for name in sorted(tracked - inside):
        print(f"{wheel} lacks {name}", file=sys.stderr)
    for name in sorted(inside - tracked):
        print(f"{wheel} has {name}, which is no file of {', '.join(PACKAGES)}", file=sys.stderr)
    if inside == tracked:
        print(f"the wheel has the {len(inside)} files of {', '.join(PACKAGES)}")
    return inside != tracked


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
