"""Training of LTUs: records to sequences, stages of a curriculum, one loop that resumes exactly."""
