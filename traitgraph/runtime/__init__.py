"""What happens inside one task: store, models, training, vectors, assessment, report. Knows no launcher."""
