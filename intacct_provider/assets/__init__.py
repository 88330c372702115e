"""Assets: how Airflow names the objects of a company."""
