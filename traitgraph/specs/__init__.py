"""The language: what a study may say, how it is read, and how its mistakes are told. Imports no other floor."""
