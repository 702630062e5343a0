"""The passes from a study to tasks, one file each; that of `lowering` has its own room. Must not know each other."""
