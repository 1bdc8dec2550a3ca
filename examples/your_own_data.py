"""A file as a network exports it, and what `terracast look` understands of it."""

# --8<-- [start:file]
from pathlib import Path

rows = ["Datum;Uhrzeit;Messstation;NO2 [µg/m³];Niederschlag [mm];Status"]
for hour in range(24 * 21):
    day, clock = f"{1 + hour // 24:02d}.02.2024", f"{hour % 24:02d}:00"
    for place, level in (("Altmarkt", 24), ("Neustadt", 31)):
        no2 = "-999" if hour % 97 == 5 else f"{level + hour % 24 / 4:.1f}".replace(".", ",")
        rows.append(f"{day};{clock};{place};{no2};{'0,2' if hour % 50 == 0 else '0,0'};gültig")
Path("luft.csv").write_text("\n".join(rows) + "\n", encoding="latin-1")
# --8<-- [end:file]
# --8<-- [start:look]
import subprocess
import sys

answer = subprocess.run([sys.executable, "-m", "terracast", "look", "luft.csv"], capture_output=True, encoding="utf-8")
print(answer.stdout)
# --8<-- [end:look]
# --8<-- [start:python]
from terracast.streams.schema.file_schema import look_into

schema = look_into(Path("luft.csv"), "air", {"time_zone": "Europe/Berlin"})
for source in schema.sources:
    print(source.domain, dict(source.panel.sizes), source.panel.attrs["step"])
# --8<-- [end:python]
