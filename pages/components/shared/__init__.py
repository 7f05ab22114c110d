"""What several pages show: tables, figures, sentences, what is taken along."""
