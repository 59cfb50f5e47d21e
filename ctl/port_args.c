/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 OpenAVP contributors
 *
 * Command lines for guests: see port_args.h.
 */

#include "port_args.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"

/* Print @text as one word of a shell. */
static void
print_quoted(FILE *stream, const char *text)
{
	fputc('\'', stream);
	for (; *text != '\0'; text++) {
		if (*text == '\'')
			fputs("'\\''", stream);
		else
			fputc(*text, stream);
	}
	fputc('\'', stream);
}

static enum ctl_status
print_option(struct ctl *ctl, const char *option, const char *value, struct ctl_error *err)
{
	json_t *array;

	if (!ctl->json) {
		fprintf(ctl->out, "%s ", option);
		print_quoted(ctl->out, value);
		fputc('\n', ctl->out);
		return CTL_DONE;
	}
	array = json_pack("[s, s]", option, value);
	if (array == NULL)
		return ctl_no_memory(err);
	ctl_print_json_line(ctl->out, array);
	json_decref(array);
	return CTL_DONE;
}

static const char *
port_socket(const json_t *port)
{
	return json_string_value(json_object_get(json_object_get(port, "avp"), "socket"));
}

enum ctl_status
ctl_port_qemu(struct ctl *ctl, const json_t *port, struct ctl_error *err)
{
	enum ctl_status status;
	json_t *device;
	char *value;

	device = json_pack("{s:s, s:{s:s, s:s}}", "driver", "vfio-user-pci", "socket", "type",
			"unix", "path", port_socket(port));
	value = device != NULL ? json_dumps(device, JSON_COMPACT) : NULL;
	json_decref(device);
	if (value == NULL)
		return ctl_no_memory(err);
	status = print_option(ctl, "-device", value, err);
	free(value);
	if (ctl->json)
		return status;
	fputs("# QEMU 10.1 or newer, started after the switch. The guest's memory can be of any "
	      "kind.\n"
	      "# A guest that opens the card with vfio-pci needs an IOMMU:\n"
	      "#   -machine q35 -device intel-iommu,caching-mode=on    and in the guest "
	      "intel_iommu=on\n",
			ctl->notes);
	return status;
}

enum ctl_status
ctl_port_user(struct ctl *ctl, const json_t *port, struct ctl_error *err)
{
	json_int_t id = json_integer_value(json_object_get(port, "id"));
	const char *socket_path = port_socket(port);
	enum ctl_status status;
	char *value;

	if (strpbrk(socket_path, ",[]") != NULL)
		return ctl_fail(err, EINVAL,
				"%s: a DPDK device argument cannot have , [ or ] in its value",
				socket_path);
	if (asprintf(&value, "net_avp_user%" JSON_INTEGER_FORMAT ",socket=%s", id, socket_path) < 0)
		return ctl_no_memory(err);
	status = print_option(ctl, "--vdev", value, err);
	free(value);
	if (!ctl->json)
		fputs("# The program needs OpenAVP's driver. DPDK finds it by itself if installed; "
		      "else give its path:\n"
		      "#   -d build/drivers/net/avp/librte_net_avp.so\n",
				ctl->notes);
	return status;
}
