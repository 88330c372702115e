"""Where an Airflow connection becomes an Intacct client."""
