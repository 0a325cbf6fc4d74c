"""What a thief hopes to find. One file, one decoy; its id is the name of the file.

To add one, write `sandbox/decoys/<id>.py`. `discovery.load("decoys", "DECOY")` finds it and
`tests/test_decoys.py` holds it to the rules: every token right in format, fresh in every run and really
planted; a token in every file of high weight; files of their kind parse; stub commands run under plain `sh`.
Secrets are assembled from drawn characters, never written out here, and hosts that are not a public service
end in `.internal`.

Modules with a leading underscore make what decoys share: `_tokens` (credentials by format), `_keys` (private
keys), `_wallets` (seed phrases), `_stores` (databases, binary containers), `_commands` (stub scripts).
"""
