"""Files: atomic writing, configurations, JSON, tables, caches and run folders.

- `atomic`: files and folders that are written completely or not at all
- `config`, `json_codec`: TOML configurations and JSON, checked against annotations
- `tables`, `table_row`, `parquet`, `text_table`: tables to read, and tables to print
- `cache`, `run_folder`: stored responses, and the folder of a run
- `tensorflow_checkpoint`: variables of models that were trained with TensorFlow

Nothing is imported here, because the command line needs only some of the modules.
"""

__all__: list[str] = []
