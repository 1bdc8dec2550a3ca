# From a CSV file to a watched stream. Run it in an empty folder that holds my_measurements.csv.
set -e
# --8<-- [start:init]
terracast init air --from my_measurements.csv
# --8<-- [end:init]
# --8<-- [start:replay]
terracast replay --policies frozen,mixture
# --8<-- [end:replay]
# --8<-- [start:watch]
terracast watch --once --now 2024-01-29T00:00
# --8<-- [end:watch]
# --8<-- [start:forecast]
terracast forecast --node harbour --now 2024-01-29T00:00
# --8<-- [end:forecast]
