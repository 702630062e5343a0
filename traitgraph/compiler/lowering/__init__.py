"""What each method, benchmark and analysis implies as stages. Must not know other passes."""
