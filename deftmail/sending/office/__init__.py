"""The operator's pages: the list of cases, a company's limits and blocks. For `User.is_operator` alone."""
