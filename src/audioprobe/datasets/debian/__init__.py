"""Real recordings from Debian packages: fetched by whoever needs them, labelled here."""
