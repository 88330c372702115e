"""Apache Airflow provider for Sage Intacct."""

__version__ = "0.2.0"
