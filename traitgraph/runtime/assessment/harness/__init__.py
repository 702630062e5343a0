"""Tasks of lm-evaluation-harness on the loaded model. Must not know other benchmarks."""
