"""Where rows come from: files, S3, SQL, or a function of the project."""
