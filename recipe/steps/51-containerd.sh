# shellcheck shell=bash
# The container runtime, with systemd cgroups and kubeadm's own sandbox (pause) image pinned: any other would be removed by
# kubelet's image garbage collection while pods run on it (kubernetes#81756).
unpack "$CONTAINERD_URL" "$CONTAINERD_SHA256" /usr/local
# Drop-ins of users go to conf.d, registry mirrors to certs.d: containerd reads both. It does not start where a drop-in has a
# higher version than this file.
version=$(containerd config default | sed --quiet 's/^version = //p')
mkdir --parents /etc/containerd/conf.d /etc/containerd/certs.d
install_text 0644 /etc/containerd/config.toml <<EOF
version = $version
imports = ["/etc/containerd/conf.d/*.toml"]

[plugins.'io.containerd.cri.v1.images']
  discard_unpacked_layers = true
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = '$PAUSE_IMAGE'
[plugins.'io.containerd.cri.v1.images'.registry]
  config_path = '/etc/containerd/certs.d'
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = 'io.containerd.runc.v2'
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
  SystemdCgroup = true
EOF
install_text 0644 /etc/systemd/system/containerd.service <<EOF
[Unit]
Description=containerd container runtime
Documentation=https://containerd.io
After=network.target dbus.service

[Service]
ExecStartPre=-/sbin/modprobe overlay
ExecStart=/usr/local/bin/containerd
Type=notify
Delegate=yes
KillMode=process
Restart=always
RestartSec=5
$CONTAINER_LIMITS
TasksMax=infinity
# The last thing the kernel should kill on a full node
OOMScoreAdjust=-999

[Install]
WantedBy=multi-user.target
EOF
systemctl daemon-reload
systemctl enable --quiet containerd.service
systemctl restart containerd.service
containerd --version
