"""The passes from a study to tasks, one file each, named as the pass. Must not know each other."""
