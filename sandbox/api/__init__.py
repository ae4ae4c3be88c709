"""HTTP: authentication, errors, paging, rate limit headers. What is served is in ``resources``."""
