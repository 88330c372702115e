"""Files on any object storage that Airflow supports."""
