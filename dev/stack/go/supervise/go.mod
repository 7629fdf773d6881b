module tka.specht-labs.de/dev/stack/supervise

go 1.26.0
