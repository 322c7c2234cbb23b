"""Time and peak memory of reading and writing a million annotations.

    python benchmarks/exchange.py [--records N] [--out FILE.json] [FORMAT ...]

Files of real shape are made, a text of about 300 characters in each record, and read
by a process of its own each. "plain" does what one would write by hand, json.load or
csv.DictReader into a list, without a check.
"""

import argparse
import csv
import json
import os
import resource
import subprocess
import sys
import tempfile
import time

LABELS = ["sports", "economy", "war", "culture", "science", "weather", "crime", "law"]
TEXT = "The committee met on Tuesday to discuss the proposal, and adjourned early. " * 4
ARRAYS = ("label_studio", "argilla")
ARGUMENTS = {
    "label_studio": {"unselected": "unlabeled"},
    "doccano": {"unselected": "unlabeled", "confirmed": True},
    "argilla": {"unselected": "unlabeled"},
}


def csv_record(i):
    value = ("yes", "no", "no", "skip")[i % 4]
    time = f"2026-03-01T10:{i % 60:02d}:00Z"
    return [f"doc-{i}", LABELS[i % 8], value, f"anna-{i % 5}", time, f"{i} {TEXT}"]


def jsonl_record(i):
    names = ("sample", "label", "value", "annotator", "timestamp", "text")
    return dict(zip(names, csv_record(i), strict=True))


def label_studio_record(i):
    result = {
        "id": f"r{i}",
        "from_name": "topic",
        "to_name": "text",
        "type": "choices",
        "value": {"choices": [LABELS[i % 8]]},
    }
    annotation = {
        "id": i,
        "completed_by": i % 5 + 1,
        "result": [result],
        "was_cancelled": False,
        "ground_truth": False,
        "created_at": "2026-03-01T10:15:00.000000Z",
        "updated_at": "2026-03-01T10:15:09.000000Z",
        "lead_time": 4.2,
    }
    data = {"text": f"{i} {TEXT}", "sample_id": f"doc-{i}"}
    return {"id": i, "data": data, "annotations": [annotation], "predictions": []}


def prodigy_record(i):
    return {
        "text": f"{i} {TEXT}",
        "sample_id": f"doc-{i}",
        "label": LABELS[i % 8],
        "_input_hash": -i,
        "_task_hash": i,
        "answer": ("accept", "reject", "reject", "ignore")[i % 4],
        "_timestamp": 1_772_359_200 + i,
        "_annotator_id": f"news-anna{i % 5}",
    }


def doccano_record(i):
    text = f"{i} {TEXT}"
    return {"id": i, "text": text, "label": [LABELS[i % 8]], "sample_id": f"doc-{i}"}


def argilla_record(i):
    response = {
        "values": {"topics": {"value": [LABELS[i % 8]]}},
        "user_id": f"user-{i % 5}",
        "status": ("submitted", "submitted", "submitted", "discarded")[i % 4],
    }
    return {
        "fields": {"text": f"{i} {TEXT}"},
        "metadata": {"sample_id": f"doc-{i}"},
        "responses": [response],
        "suggestions": [{"question_name": "topics", "value": ["law"], "score": 0.3}],
        "external_id": None,
    }


RECORDS = {
    "csv": csv_record,
    "jsonl": jsonl_record,
    "label_studio": label_studio_record,
    "prodigy": prodigy_record,
    "doccano": doccano_record,
    "argilla": argilla_record,
}


def make(path, form, n):
    record = RECORDS[form]
    with open(path, "w", encoding="utf-8", newline="") as file:
        if form == "csv":
            writer = csv.writer(file)
            writer.writerow(
                ["sample", "label", "value", "annotator", "timestamp", "text"]
            )
            writer.writerows(map(record, range(n)))
        elif form in ARRAYS:
            file.write("[")
            for i in range(n):
                file.write((", " if i else "") + json.dumps(record(i)))
            file.write("]")
        else:
            file.writelines(json.dumps(record(i)) + "\n" for i in range(n))


def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def read_plainly(path, form):
    with open(path, encoding="utf-8", newline="") as file:
        if form == "csv":
            return list(csv.DictReader(file))
        if form in ARRAYS:
            return json.load(file)
        return [json.loads(line) for line in file]


def run(task, path, form, n):
    """Do one task in this process, and print what it took."""
    from sklearn_masked.annotation import read_annotations, write_annotations

    imports, start = peak_mb(), time.process_time()
    if task == "plain":
        assert len(read_plainly(path, form)) == n
    else:
        answers = read_annotations(path, form, **ARGUMENTS.get(form, {}))
        assert answers.n_records == n
    row = {"format": form, "task": task, "records": n}
    row["file_mb"] = round(os.path.getsize(path) / 2**20)
    if task == "join":
        start = time.process_time()
        labels = answers.to_labels([f"doc-{i}" for i in range(n)])
        row["cells"] = int(labels.n_cells)
    elif task == "write":
        if form == "doccano":
            answers = answers.without("annotators", "skips")
        if form == "argilla":
            answers = answers.without("timestamps")
        start = time.process_time()
        write_annotations(answers, path + ".back", form)
    row["cpu_s"] = round(time.process_time() - start, 1)
    row["imports_mb"], row["peak_mb"] = round(imports), round(peak_mb())
    print(json.dumps(row))


def child(task, path, form, n):
    command = [sys.executable, __file__, "--task", task, "--path", path]
    command += ["--records", str(n), form]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("formats", nargs="*", default=list(RECORDS))
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--tasks", default="plain,read,join,write")
    parser.add_argument("--out")
    parser.add_argument("--task", help=argparse.SUPPRESS)
    parser.add_argument("--path", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.task:
        run(args.task, args.path, args.formats[0], args.records)
        return
    rows = []
    print("| format | task | file, MB | CPU s | peak, MB | of which imports, MB |")
    print("| --- | --- | --- | --- | --- | --- |")
    for form in args.formats:
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, f"export.{form}")
            make(path, form, args.records)
            for task in args.tasks.split(","):
                row = child(task, path, form, args.records)
                rows.append(row)
                cells = [row[name] for name in ("format", "task", "file_mb", "cpu_s")]
                cells += [row["peak_mb"], row["imports_mb"]]
                print("|", " | ".join(map(str, cells)), "|", flush=True)
    if args.out:
        with open(args.out, "w", encoding="utf-8") as file:
            json.dump(rows, file, indent=1)


if __name__ == "__main__":
    main()
