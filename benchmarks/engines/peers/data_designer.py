"""`URL ROWS CONCURRENCY`: Data Designer with one column of texts over a seed of topics."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path


def main(url: str, rows: int, concurrency: int) -> None:
    os.environ.update(NEMO_TELEMETRY_ENABLED="false", DATA_DESIGNER_HOME=str(Path.cwd() / "home"), MOCK_KEY="unused")
    import data_designer.config as dd
    import pandas
    from data_designer.interface import DataDesigner

    sampling = dd.ChatCompletionInferenceParams(temperature=0.8, max_tokens=512, max_parallel_requests=concurrency)
    model = dd.ModelConfig(
        alias="writer", model="mock", provider="mock", inference_parameters=sampling, skip_health_check=True
    )
    provider = dd.ModelProvider(name="mock", endpoint=url, provider_type="openai", api_key="MOCK_KEY")
    config = dd.DataDesignerConfigBuilder(model_configs=[model])
    topics = pandas.DataFrame({"topic": [f"topic {number}" for number in range(rows)]})
    config.with_seed_dataset(dd.DataFrameSeedSource(df=topics))
    config.add_column(dd.LLMTextColumnConfig(name="text", model_alias="writer", prompt="Write about {{ topic }}."))
    designer = DataDesigner(artifact_path=Path.cwd() / "artifacts", model_providers=[provider])
    made = designer.create(config, num_records=rows)
    print(json.dumps({"rows": len(made.load_dataset())}))


if __name__ == "__main__":
    sys.path.pop(0)  # this file is named as the package that it imports
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
