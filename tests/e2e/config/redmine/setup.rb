# Run by `rails runner` on a fresh database: loads the default trackers and states, opens the REST API, makes one
# project, and prints the administrator's key as "api-key=...".
Redmine::DefaultData::Loader.load('en')
Setting.rest_api_enabled = '1'

admin = User.find_by_login('admin')
admin.must_change_passwd = false
admin.save!

Project.create!(
  name: 'Anyhook end to end',
  identifier: 'e2e',
  trackers: Tracker.all,
  enabled_module_names: %w[issue_tracking]
)
puts "api-key=#{admin.api_key}"
