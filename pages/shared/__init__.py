"""What several pages use: the session, jobs, the runtime, errors, pickers, pictures, charts, words, tours."""
