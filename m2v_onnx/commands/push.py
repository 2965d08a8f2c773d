"""``m2v-onnx push``."""

import argparse
from pathlib import Path
from typing import Any

from m2v_onnx.commands.arguments import add_command


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "push",
        run,
        "upload a bundle to the Hugging Face Hub, with its card",
        "m2v-onnx push BUNDLE owner/name --dry-run",
        "m2v-onnx push BUNDLE owner/name",
        "m2v-onnx push BUNDLE owner/name --public --message 'Export in all precisions'",
        "m2v-onnx push BUNDLE owner/name --revision a-branch --token hf_... --force",
    )
    parser.add_argument("bundle", metavar="BUNDLE", type=Path, help="a folder that `m2v-onnx export` wrote")
    parser.add_argument("repo_id", metavar="OWNER/NAME", help="the repository; a new one is private")
    parser.add_argument("--public", action="store_true", help="a repository that everyone can read")
    parser.add_argument("--revision", metavar="BRANCH", help="a branch that is there; the main one by default")
    parser.add_argument("--message", help="the commit's message")
    parser.add_argument("--token", help="the Hub's access token; by default huggingface_hub's own, from HF_TOKEN say")
    parser.add_argument("--force", action="store_true", help="also into a repository with other files than a bundle's")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")


def run(options: argparse.Namespace) -> None:
    from m2v_onnx.models.upload import push_bundle

    upload = push_bundle(
        options.bundle,
        options.repo_id,
        public=options.public,
        revision=options.revision,
        token=options.token,
        message=options.message,
        force=options.force,
        dry_run=options.dry_run,
    )
    for name, size in upload.files.items():
        print(f"{size:>13,}  {name}")
    for name in upload.removed:
        print(f"{'removed':>13}  {name}, of the bundle that was there")
    for name in upload.left_here:
        print(f"{'not sent':>13}  {name}, none of the bundle's files")
    state = f"{'existing' if upload.exists else 'new'} {'private' if upload.private else 'public'} repository"
    total = f"{len(upload.files)} files, {sum(upload.files.values()):,} bytes"
    if upload.url is None:
        print(f"dry run: would push {total} to the {state} {upload.repo_id}; nothing was sent")
    else:
        print(f"pushed {total} to the {state} {upload.repo_id}: {upload.url}")
