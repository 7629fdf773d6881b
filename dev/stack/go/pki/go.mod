module tka.specht-labs.de/dev/stack/pki

go 1.26.0
