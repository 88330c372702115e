"""Pages of the provider within Airflow's UI: the plan of a sync and the manifest of an export."""
