"""`URL ROWS CONCURRENCY`: distilabel's pipeline with one text generation, in batches as large as the endpoint takes."""

from __future__ import annotations

import json
import sys


def main(url: str, rows: int, concurrency: int) -> None:
    from distilabel.models import OpenAILLM
    from distilabel.pipeline import Pipeline
    from distilabel.steps import LoadDataFromDicts
    from distilabel.steps.tasks import TextGeneration

    data = [{"instruction": f"Write about topic {number}."} for number in range(rows)]
    sampling = {"temperature": 0.8, "max_new_tokens": 512}
    with Pipeline(name="bench") as pipeline:
        llm = OpenAILLM(model="mock", base_url=url, api_key="unused", generation_kwargs=sampling)
        load = LoadDataFromDicts(data=data, batch_size=concurrency)
        load >> TextGeneration(llm=llm, input_batch_size=concurrency)
    made = pipeline.run(use_cache=False)["default"]["train"]
    print(json.dumps({"rows": sum(text is not None for text in made["generation"])}))


if __name__ == "__main__":
    sys.path.pop(0)  # this file has the name of the package
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
