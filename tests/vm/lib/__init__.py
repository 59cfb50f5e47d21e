# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 OpenAVP contributors
"""What the tests in virtual machines share: the machine (vm), what runs in it (testpmd), checks."""
